#!/usr/bin/env python3
"""Part of tests/gpu.sh: makes the ids, runs the prepared programs on the GPU, prints the table."""
import array
import json
import math
import os
import random
import subprocess
import sys
import tempfile

N_IDS, VOCAB = 200, 2048
WAYS = [("prefill", []), ("one by one", ["--decode"])] + [
    ("%d sequences" % n, ["--batch", str(n)]) for n in (2, 3, 4, 8)]


def read(path, count=-1):
    values = array.array("f")
    with open(path, "rb") as f:
        values.frombytes(f.read(4 * count) if count >= 0 else f.read())
    return values


def make_ids(path):
    rng = random.Random(7)
    with open(path, "wb") as f:
        array.array("i", [rng.randrange(VOCAB) for _ in range(N_IDS)]).tofile(f)


def distance(got, want):
    """Relative L2 of all logits, and of the worst row; inf when a number is not one."""
    worst, num, den = 0.0, 0.0, 0.0
    for row in range(N_IDS):
        a, b = got[row * VOCAB:(row + 1) * VOCAB], want[row * VOCAB:(row + 1) * VOCAB]
        d = sum((x - y) ** 2 for x, y in zip(a, b))
        n = sum(y * y for y in b)
        if not math.isfinite(d):
            return math.inf, math.inf
        num, den, worst = num + d, den + n, max(worst, math.sqrt(d / n))
    return math.sqrt(num / den), worst


def ask(folder, name, options, want):
    program = os.path.join(folder, name, "tinytales")
    with tempfile.TemporaryDirectory() as work:
        out = os.path.join(work, "logits")
        command = [program, "--tokens", os.path.join(folder, "ids.i32"), "--logits", out, "-q"]
        done = subprocess.run(command + options, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            return None, done.stderr.strip()
        return distance(read(out, N_IDS * VOCAB), want), ""


def compare(folder):
    bad = 0
    for line in open(os.path.join(folder, "cases")):
        name, tolerance = line.split()[0], float(line.split()[1])
        want = read(os.path.join(folder, name + ".f32"))
        for way, options in WAYS:
            found, why = ask(folder, name, options, want)
            ok = found is not None and found[0] <= tolerance
            bad += not ok
            text = "relative L2 %.1e, worst row %.1e" % found if found else why
            print("%-8s %-12s %-44s <= %.0e  %s" % (name, way, text, tolerance, "ok" if ok else "BAD"))
    return bad


def stories(folder, expected):
    bad = 0
    program = os.path.join(folder, "bf16", "tinytales")
    for case in json.load(open(expected))["greedy"]:
        done = subprocess.run([program, "-p", case["prompt"], "-n", str(len(case["ids"])), "--temp",
                               "0", "-q"], capture_output=True, text=True, timeout=300)
        same = case["text"].strip() in done.stdout
        bad += not same
        print("story    %-57s %s" % (case["prompt"][:50], "ok" if same else "BAD " + done.stderr))
    return bad


def main():
    if sys.argv[1] == "ids":
        make_ids(sys.argv[2])
        return 0
    bad = compare(sys.argv[2]) + stories(sys.argv[2], sys.argv[3])
    print("%d differ" % bad if bad else "all agree")
    return 1 if bad else 0


sys.exit(main())
