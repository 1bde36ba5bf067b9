#!/usr/bin/env python3
"""Part of tests/gpu.sh: asks the prepared programs on the GPU, prints a line for each answer.

  run.py [--long] DIR [WORD...]   all that prepare.sh has left in DIR, or those with a WORD in their
                                  name; --long: the stress run instead

Several processes share the GPU. Exit code 1 when an answer is wrong; the wrong ones are listed
again at the end.
"""
import array
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple

SECONDS = 100  # after which a program hangs
STAGGER = 3
LENGTHS = [1, 7, 128, 129, 1000]
EVAL_LIMIT = 0.005  # of the C target's bits per byte
STRESS_TOKENS, STRESS_CONTEXT = 10000, 2000

Case = namedtuple("Case", "folder name tolerance weights ids logits")
Job = namedtuple("Job", "name what function arguments")


class Wrong(Exception):
    """An answer that is not the expected one: what is said about it."""


class Missing(Exception):
    """A question that cannot be asked here."""


def read(path, kind):
    values = array.array(kind)
    with open(path, "rb") as f:
        values.frombytes(f.read())
    return values


def ask(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as late:
        raise Wrong("not done in %d s" % SECONDS) from late
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        raise Wrong("exit code %d: %s" % (done.returncode, said[-400:]))
    return done.stdout


def program(case):
    return [os.path.join(case.folder, case.name), "-q", "--weights",
            os.path.join(case.folder, case.weights)]


# ---- logits ------------------------------------------------------------------------------------

def distance(got, want):
    """Squared L2 norms of the difference and of what is expected; inf when one is not a number."""
    error = sum((x - y) * (x - y) for x, y in zip(got, want))
    return error if math.isfinite(error) else math.inf, sum(y * y for y in want)


def compare(got, want, vocab, tolerance):
    """Relative L2 of all, and of the worst row and which that is."""
    if len(got) != len(want):
        raise Wrong("%d logits, expected %d" % (len(got), len(want)))
    if not any(want):
        raise Wrong("nothing but zeros is expected")
    rows = [distance(got[i:i + vocab], want[i:i + vocab]) for i in range(0, len(want), vocab)]
    all_rows = math.sqrt(sum(e for e, _ in rows) / sum(n for _, n in rows))
    worst, at = max((math.sqrt(e / n), i) for i, (e, n) in enumerate(rows))
    text = "relative L2 %.1e, worst row %d %.1e" % (all_rows, at, worst)
    if not all_rows <= tolerance:
        raise Wrong("%s, more than %.0e" % (text, tolerance))
    return text


def logits(case, options, count, copies):
    """Feeds the first `count` ids (0: all): copies of the expected logits are to come back."""
    ids, want = read(case.ids, "i"), read(case.logits, "f")
    vocab = len(want) // len(ids)
    count = count or len(ids)
    with tempfile.TemporaryDirectory() as work:
        fed, out = os.path.join(work, "ids"), os.path.join(work, "logits")
        with open(fed, "wb") as f:
            ids[:count].tofile(f)
        ask(program(case) + ["--tokens", fed, "--logits", out] + options)
        return compare(read(out, "f"), want[:count * vocab] * copies, vocab, case.tolerance)


def continuation(case, options):
    with open(os.path.join(case.folder, case.name + ".ids"), encoding="ascii") as f:
        want = f.read().split()
    prompt = os.path.join(case.folder, case.name + ".prompt")
    got = ask(program(case) + ["--tokens", prompt, "--generate", str(len(want))] + options).split()
    same = next((i for i in range(len(want)) if got[i:i + 1] != want[i:i + 1]), len(want))
    if got != want:
        raise Wrong("%d of %d ids, then %s instead of %s"
                    % (same, len(want), got[same:same + 1], want[same]))
    return "%d ids" % same


def beside_chain(case):
    """The step as one kernel and as a chain of them. The order of sums differs, and with it what
    rounds up where activations become bf16; each has been compared with the C target's too."""
    ids = read(case.ids, "i")
    with tempfile.TemporaryDirectory() as work:
        fed, outs = os.path.join(work, "ids"), []
        with open(fed, "wb") as f:
            ids.tofile(f)
        for name in (case.name, case.name + ".chain"):
            outs.append(os.path.join(work, name))
            ask([os.path.join(case.folder, name)] + program(case)[1:] +
                ["--tokens", fed, "--decode", "--logits", outs[-1]])
        stream, chain = (read(out, "f") for out in outs)
    return compare(stream, chain, len(chain) // len(ids), case.tolerance * 0.75)


def jobs_of_way(case, way, short):
    """`short`: how many ids where prompts of all lengths are not asked for; 0: all of the file."""
    if way == "ids":
        return [Job(case.name, "greedy ids", continuation, (case, [])),
                Job(case.name, "greedy ids, prompt one by one", continuation, (case, ["--decode"]))]
    if way == "chain":
        return [Job(case.name, "beside the chain", beside_chain, (case,))]
    if way == "lengths":
        return [Job(case.name, "prompt of %d" % n, logits, (case, [], n, 1)) for n in LENGTHS] + [
            Job(case.name, "%d one by one" % LENGTHS[-1], logits,
                (case, ["--decode"], LENGTHS[-1], 1))]
    if way.startswith("batch") or way.startswith("deep"):
        n, count = int(way[-1]), short if way.startswith("batch") else 0
        options = ["--batch", str(n), "--stagger", str(STAGGER)]
        what = "1 to %d sequences" % n + ("" if count or not short else ", 1000 ids")
        return [Job(case.name, what, logits, (case, options, count, n))]
    options = {"prefill": [], "decode": ["--decode"]}[way]
    return [Job(case.name, way, logits, (case, options, short, 1))]


def read_case(folder, name):
    with open(os.path.join(folder, name + ".case"), encoding="ascii") as f:
        tolerance, ways, weights, ids, want = f.read().split()
    return Case(folder, name, float(tolerance), weights, os.path.join(folder, ids),
                os.path.join(folder, want)), ways


def jobs_of_case(folder, name):
    case, ways = read_case(folder, name)
    short = 100 if "lengths" in ways else 0
    return [job for way in ways.split(",") for job in jobs_of_way(case, way, short)]


# ---- an MLP alone ------------------------------------------------------------------------------

def rows_out(path, case, options):
    """What the program makes of the case's rows of activations."""
    with tempfile.TemporaryDirectory() as work:
        out = os.path.join(work, "out")
        ask([path, "-q", "--weights", os.path.join(case.folder, case.weights), "--rows", case.ids,
             "--logits", out] + options)
        return read(out, "f")


def rows(case, width, options):
    path = os.path.join(case.folder, case.name)
    return compare(rows_out(path, case, options), read(case.logits, "f"), width, case.tolerance)


def rows_beside_chain(case, width):
    """One kernel and a chain of them; twice the same bits."""
    path = os.path.join(case.folder, case.name)
    one, again, chain = (rows_out(p, case, ["--decode"]) for p in (path, path, path + ".chain"))
    if one != again:
        raise Wrong("two runs differ")
    return compare(one, chain, width, case.tolerance / 2)


def jobs_of_mlp(folder, name):
    with open(os.path.join(folder, name + ".mlp"), encoding="ascii") as f:
        tolerance, width, weights = f.read().split()
    case = Case(folder, name, float(tolerance), weights, os.path.join(folder, name + ".rows"),
                os.path.join(folder, name + ".f32"))
    return [Job(name, "rows in chunks", rows, (case, int(width), [])),
            Job(name, "rows one by one", rows, (case, int(width), ["--decode"])),
            Job(name, "twice, and beside the chain", rows_beside_chain, (case, int(width)))]


# ---- tinytales ---------------------------------------------------------------------------------

def bits(path, options, want):
    found = json.loads(ask([path, "eval", "examples/tinytales/heldout.txt", "--json"] + options))
    got = found["bits_per_byte"]
    text = "%.4f bits per byte, the C target %.4f" % (got, want)
    if not abs(got - want) <= EVAL_LIMIT * want:
        raise Wrong(text)
    return text


def story(path, options, prompt, text, count):
    out = ask([path, "-p", prompt, "-n", str(count), "--temp", "0"] + options)
    if out != prompt + text + "\n":
        raise Wrong("another text: %r" % out[:200])
    return "%d tokens as expected" % count


def jobs_of_eval(folder, name):
    with open(os.path.join(folder, name + ".eval"), encoding="ascii") as f:
        want, weights = f.read().split()
    path, options = os.path.join(folder, name), ["-q", "--weights", os.path.join(folder, weights)]
    jobs = [Job(name, "held-out text", bits, (path, options, float(want)))]
    if name == "tinytales":
        with open("examples/tinytales/expected.json", encoding="utf-8") as f:
            jobs += [Job(name, "story %d" % (i + 1), story,
                         (path, options, c["prompt"], c["text"], len(c["ids"])))
                     for i, c in enumerate(json.load(f)["greedy"])]
    return jobs


# ---- what the runtime has the device do --------------------------------------------------------

def device(path, what):
    """Draws, steps that feed themselves and random weights are the host's (device.c)."""
    return ask([path, what]).splitlines()[0]


def jobs_of_device(folder, name):
    path = os.path.join(folder, name + ".device")
    return [Job(name, what, device, (path, what)) for what in ("draw", "story", "random")]


# ---- steps that wait in vain -------------------------------------------------------------------

def stalls(folder, name, says):
    """An error within seconds, with layer, multiprocessor and what was waited for; the GPU goes on."""
    command = [os.path.join(folder, name), "bench", "-p", "0", "-n", "300", "-r", "1", "-q",
               "--weights", os.path.join(folder, name + ".weights")]
    if name == "stall-sums":
        command += ["--batch", "8"]
    if "mlp" in name:
        command += ["-n", "16"]  # steps in a row: nobody looks between them
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as late:
        raise Wrong("it hangs") from late
    if done.returncode != 2 or not re.search(says, done.stderr):
        raise Wrong("exit code %d, not '%s': %s" % (done.returncode, says, done.stderr[-300:]))
    return "says so"


def jobs_of_stall(folder, name):
    with open(os.path.join(folder, name + ".stall"), encoding="ascii") as f:
        return [Job(name, "a value left out", stalls, (folder, name, f.read().strip()))]


# ---- compute-sanitizer -------------------------------------------------------------------------

def sanitizer():
    places = ["", "/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer",
              "/opt/nvidia/nsight-compute"]
    for place in places:
        found = shutil.which(os.path.join(place, "compute-sanitizer"))
        if found:
            return found
    raise Missing("compute-sanitizer is not here")


def clean(tool, path, options, count):
    """The tool finds nothing while `count` ids are fed. What the driver answers is left out: a program
    asks for every kernel of its source, and machine code for one chip lacks those of the others."""
    with tempfile.TemporaryDirectory() as work:
        fed, out = os.path.join(work, "ids"), os.path.join(work, "logits")
        with open(fed, "wb") as f:
            array.array("i", [7 * i % 2048 for i in range(1, count + 1)]).tofile(f)
        only_memory = ["--report-api-errors", "no"] if tool == "memcheck" else []
        said = ask([sanitizer(), "--tool", tool, "--error-exitcode", "9"] + only_memory +
                   [path, "--tokens", fed, "--logits", out] + options)
    summary = [line for line in said.splitlines() if "SUMMARY" in line]
    return summary[-1].strip("= ") if summary else "nothing said"


def jobs_of_sanitizer(folder, name):
    """Of what was made to be evaluated: prefill, steps of one, steps of one to four sequences."""
    with open(os.path.join(folder, name + ".eval"), encoding="ascii") as f:
        weights = f.read().split()[1]
    path, options = os.path.join(folder, name), ["-q", "--weights", os.path.join(folder, weights)]
    ways = [("prefill", [], 40), ("decode", ["--decode"], 4),
            ("1 to 4 sequences", ["--batch", "4", "--stagger", "1"], 2)]
    return [Job(name, "%s, %s" % (tool, way), clean, (tool, path, options + more, count))
            for tool in ("memcheck", "racecheck") for way, more, count in ways]


# ---- the stress run ----------------------------------------------------------------------------

def twice_at_once(command, out):
    """Two processes side by side, each with its own file of logits: both files' bytes."""
    paths = [out + ".a", out + ".b"]
    running = [subprocess.Popen(command + ["--logits", p], stderr=subprocess.PIPE, text=True)
               for p in paths]
    try:
        said = [p.communicate(timeout=SECONDS)[1].strip() for p in running]
    except subprocess.TimeoutExpired as late:
        for process in running:
            process.kill()
        raise Wrong("not done in %d s" % SECONDS) from late
    for process, text in zip(running, said):
        if process.returncode != 0:
            raise Wrong("exit code %d: %s" % (process.returncode, text[-400:]))
    return [read(p, "f") for p in paths]


def stress_round(case, rng, work, fed):
    """Random ids at a random context in a batch of random size; returns tokens generated."""
    count, batch = rng.randrange(1, STRESS_CONTEXT), rng.randrange(1, 9)
    vocab = len(read(case.logits, "f")) // len(read(case.ids, "i"))
    count = max(1, count // batch)
    with open(fed, "wb") as f:
        array.array("i", [rng.randrange(vocab) for _ in range(count)]).tofile(f)
    command = program(case) + ["--tokens", fed, "--decode"]
    if batch > 1:
        command += ["--batch", str(batch), "--stagger", str(rng.randrange(0, 20))]
    a, b = twice_at_once(command, os.path.join(work, "logits"))
    if a != b:
        raise Wrong("two runs of %d ids, %d sequences differ" % (count, batch))
    ask(program(case) + ["--tokens", fed, "--logits", os.path.join(work, "prefill")])
    want = read(os.path.join(work, "prefill"), "f")
    compare(a[:count * vocab], want, vocab, 2 * case.tolerance)
    return count * batch


def stress(case, seed):
    rng, tokens, rounds = random.Random(seed), 0, 0
    with tempfile.TemporaryDirectory() as work:
        while tokens < STRESS_TOKENS:
            tokens += stress_round(case, rng, work, os.path.join(work, "ids"))
            rounds += 1
    return "seed %d: %d tokens in %d rounds, the same bits twice" % (seed, tokens, rounds)


def jobs_of_stress(folder, name):
    if name.startswith("golden-"):
        return []  # their contexts are short
    seed = random.SystemRandom().randrange(10 ** 6)
    case, _ = read_case(folder, name)
    return [Job(name, "stress", stress, (case, seed))]


# ---- all of them -------------------------------------------------------------------------------

def answer(job):
    """The job, what became of it and what is said about it."""
    try:
        return job, "ok", job.function(*job.arguments)
    except Missing as missing:
        return job, "SKIP", str(missing)
    except Wrong as wrong:
        return job, "WRONG", str(wrong)


def jobs_of_folder(folder, words, long):
    """What takes longest comes first."""
    kinds = [(".case", jobs_of_stress)] if long else [
        (".eval", jobs_of_sanitizer), (".eval", jobs_of_eval), (".case", jobs_of_case),
        (".mlp", jobs_of_mlp), (".stall", jobs_of_stall), (".device", jobs_of_device)]
    jobs = []
    for ending, find in kinds:
        for file in sorted(os.listdir(folder)):
            name, own = os.path.splitext(file)
            if own == ending and (not words or any(w in name for w in words)):
                jobs += find(folder, name)
    return jobs


def main():
    words = sys.argv[1:]
    long = words[0] == "--long"
    words = words[1:] if long else words
    jobs, wrong = jobs_of_folder(words[0], words[1:], long), []
    with multiprocessing.Pool(min(4 if long else 16, os.cpu_count() or 1)) as pool:
        for n, (job, verdict, text) in enumerate(pool.imap_unordered(answer, jobs)):
            line = "%-18s %-28s %s" % (job.name, job.what, text)
            print("%3d/%d %-5s %s" % (n + 1, len(jobs), verdict, line), flush=True)
            wrong += [line] if verdict == "WRONG" else []
    print("%d of %d answers are wrong%s" % (len(wrong), len(jobs), ":" if wrong else ""))
    for line in wrong:
        print("  " + line)
    return 1 if wrong or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
