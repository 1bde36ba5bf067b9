#!/usr/bin/env python3
"""Part of tests/gpu/measure.sh: runs the prepared programs, prints the table.

  measure.py DIR [CASE...]
"""
import json
import os
import subprocess
import sys

REPEATS = int(os.environ.get("REPEATS", "5"))
SECONDS = 120  # after which a program hangs

# Decode of n tokens from a depth such that the context is the named one in the middle.
DECODE = {16: ["-d", "0", "-n", "32"], 128: ["-d", "96", "-n", "64"],
          1024: ["-d", "992", "-n", "64"], 4096: ["-d", "4064", "-n", "64"]}


def decode(context):
    return ("decode, context %d" % context, ["-p", "0"] + DECODE[context])


def prefill(tokens):
    return ("prefill of %d" % tokens, ["-p", str(tokens), "-n", "0"])


def batch(sequences):
    return ("%d sequences, context 128" % sequences,
            ["-p", "0", "--batch", str(sequences)] + DECODE[128])


CONTEXTS = [decode(128), decode(1024), decode(4096)]
MODELS = {
    "1b": [decode(16)] + CONTEXTS + [batch(2), batch(4), batch(8), prefill(512), prefill(2048)],
    "1b-chain": CONTEXTS + [batch(2), batch(4), batch(8)],
    "8b": CONTEXTS + [batch(2), batch(4), batch(8), prefill(512), prefill(2048)],
    "8b-chain": CONTEXTS + [batch(2), batch(4), batch(8)],
    "8b-int8": CONTEXTS + [batch(8), prefill(2048)],
    "8b-int8-chain": CONTEXTS,
    "8b-int4": CONTEXTS + [batch(8), prefill(2048)],
    "8b-int4-chain": CONTEXTS,
}
MLPS = ["ffn-epilogue", "ffn-elementwise"]
ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 2048, 8192]


def bench(program, options):
    """What `bench` printed; None, with the reason on the table, when it failed."""
    command = [program, "bench", "--random", "1", "-q"] + options
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        print("%s: not done in %d s" % (" ".join(command), SECONDS))
        return None
    if done.returncode != 0:
        print("%s: exit code %d: %s" % (" ".join(command), done.returncode, done.stderr.strip()))
        return None
    return done.stdout


def row(name, what, ms, low, high, rest=""):
    print("%-16s %-26s %9.4f  %9.4f .. %-9.4f %s" % (name, what, ms, low, high, rest), flush=True)


def measure_model(folder, name):
    """Prints a row for each test; returns the bandwidths that were probed and how many failed."""
    probes, bad = [], 0
    for what, options in MODELS[name]:
        text = bench(os.path.join(folder, name), options + ["-r", str(REPEATS), "--json"])
        if text is None:
            bad += 1
            continue
        found = json.loads(text)
        test = found["results"][0]
        # a step of decode is one token a sequence; a prefill is all of its tokens
        tokens = 1 if test["test"].startswith("tg") else test["tokens"]
        tokens *= test["sequences"]
        probe = [found["read_bandwidth_before"], found["read_bandwidth_after"]]
        probes += probe
        rest = ""
        if "bytes_per_second" in test:
            rest = "%7.0f GB/s" % (test["bytes_per_second"] / 1e9)
        row(name, what, *(1e3 * tokens / test[k] for k in ("tokens_per_second", "max", "min")), rest)
    return probes, bad


def measure_mlp(folder, name):
    """Steps in a row on the device: rows come from the host, which takes longer than the kernels do."""
    bad = 0
    for rows in ROWS:
        decode = ["-p", "0", "-n", "64", "--batch", str(rows)]
        options = decode if rows <= 8 else ["-p", str(rows), "-n", "0"]
        text = bench(os.path.join(folder, name), options + ["-r", str(REPEATS), "--json"])
        if text is None:
            bad += 1
            continue
        test = json.loads(text)["results"][0]
        ms, least, most = (1e3 * rows / test[k] for k in ("tokens_per_second", "max", "min"))
        tera = 6 * 4096 * 14336 * rows / (ms * 1e9)
        row(name, "%d rows" % rows, ms, least, most, "%7.1f TFLOP/s" % tera)
    return [], bad


def main():
    folder, words = sys.argv[1], sys.argv[2:]
    names = [n for n in list(MODELS) + MLPS
             if os.path.exists(os.path.join(folder, n)) and (not words or any(w in n for w in words))]
    print("%-16s %-26s %9s  %9s    %-9s" % ("program", "what", "median ms", "least", "most"))
    probes, bad = [], 0
    for name in names:
        found, failed = (measure_mlp if name in MLPS else measure_model)(folder, name)
        probes, bad = probes + found, bad + failed
    if probes:
        print("copies on the device, bytes read and written: %.0f to %.0f GB/s"
              % (min(probes) / 1e9, max(probes) / 1e9))
    print("%d failed" % bad if bad else "%d programs" % len(names))
    return 1 if bad or not names else 0


sys.exit(main())
