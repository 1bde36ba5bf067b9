#!/usr/bin/env python3
"""Speed of CPU programs in turns, with the bandwidth of memory probed around every run.

  python3 tests/bench/cpu.py                       the whole table: both models, every scheme
  python3 tests/bench/cpu.py 110m-int8 1b-bf16     some of its lines
  python3 tests/bench/cpu.py old=/tmp/a/x new=/tmp/b/x    programs that sinter made, against each other
      --peer LLAMA_BENCH MODELS   also llama-bench, on MODELS/1b-bf16.gguf and so on (see LINES)
      --threads 2,1   --prompt 512   --tokens 64   --depth 0   --rounds 5   --json FILE
      --first 0                 also so many starts: ms from a new process to its first token (5 ids
                                in, checksums looked at, weights in the page cache)
      --quiet-below 4             wait before each round until others use less of the CPU, percent
      SINTER: the command, default build/release/bin/sinter

All contenders of a line run once a round, in turn, forwards and backwards by rounds. "of read" is a
run's share of the mean of the probes right before and right after it, made by one and the same program
with the same threads; "of reads beside" is what sinter's steps reach of a read of memory right before
and right after each step, their median (bench --probe-steps). Printed: median and smallest .. largest
over the rounds, the median of each round's ratio to the first contender, and how much of the CPU others
took. Random weights."""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ONE_B, SMALL = ROOT + "/model_specs/llama-3.2-1b.yaml", HERE + "/dense-110m.yaml"
# name: spec, scheme, model file of the peer
LINES = {
    "1b-bf16": (ONE_B, "none", "1b-bf16"),
    "1b-int8": (ONE_B, "int8+head", "1b-q8_0"),
    "1b-int8-a8": (ONE_B, "int8+head+a8", "1b-q8_0"),
    "1b-int4": (ONE_B, "int4/32+head", "1b-q4_0"),
    "1b-int4-a8": (ONE_B, "int4/32+head+a8", "1b-q4_0"),
    "110m-bf16": (SMALL, "none", "110m-bf16"),
    "110m-int8": (SMALL, "int8+head", "110m-q8_0"),
    "110m-int8-a8": (SMALL, "int8+head+a8", "110m-q8_0"),
}


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("what", nargs="*")
    p.add_argument("--peer", nargs=2, metavar=("LLAMA_BENCH", "MODELS"))
    p.add_argument("--threads", default="2,1")
    p.add_argument("--prompt", type=int, default=512)
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--depth", type=int, default=0)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--quiet-below", type=float, default=100)
    p.add_argument("--json", metavar="FILE")
    return p.parse_args()


def output_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


# ---- other processes ----------------------------------------------------------------------------


def cpu_ticks():
    """All ticks, those that somebody used, those of this process's finished children."""
    ticks = [int(v) for v in open("/proc/stat").readline().split()[1:9]]
    mine = os.times()
    hertz = os.sysconf("SC_CLK_TCK")
    idle = ticks[3] + ticks[4]
    return sum(ticks), sum(ticks) - idle, (mine.children_user + mine.children_system) * hertz


def foreign_share(before, after):
    total, used, own = (b - a for a, b in zip(before, after))
    return max(0.0, 100 * (used - own) / max(1, total))


def wait_for_quiet(percent, most_seconds=120):
    for _ in range(most_seconds):
        before = cpu_ticks()
        time.sleep(1)
        if foreign_share(before, cpu_ticks()) <= percent:
            return


# ---- contenders ---------------------------------------------------------------------------------


class Program:
    """A program that sinter made."""

    def __init__(self, label, path):
        self.label, self.path = label, path
        self.beside = []  # shares of the runs so far

    def run(self, a, threads, kind):
        what = ["-p", str(a.prompt), "-n", "0"] if kind == "pp" else ["-p", "0", "-n", str(a.tokens), "--probe-steps"]
        text = output_of([self.path, "bench", "--random", "1", *what, "-r", "1", "-d", str(a.depth), "--threads",
                          str(threads), "--json", "--quiet"])
        r = json.loads(text)["results"][0]
        self.beside += r.get("of_reads_beside", [])[1:2]
        return r["tokens_per_second"], r.get("bytes_per_second")

    def first(self, ids, threads):
        """Milliseconds until a new process has written its first id; it ends after it."""
        start = time.perf_counter()
        output_of([self.path, "--tokens", ids, "--generate", "1", "--threads", str(threads), "--quiet"])
        return 1e3 * (time.perf_counter() - start)


class Peer:
    """llama-bench on one model file; what it reads for a token is the size of the model."""

    def __init__(self, label, command, model):
        self.label, self.command, self.model = label, command, model
        self.beside = []

    def run(self, a, threads, kind):
        p, n = (a.prompt, 0) if kind == "pp" else (0, a.tokens)
        text = output_of([self.command, "-m", self.model, "-p", str(p), "-n", str(n), "-r", "1", "-d",
                          str(a.depth), "-t", str(threads), "-o", "json"])
        r = json.loads(text)[0]
        return r["avg_ts"], r["avg_ts"] * r["model_size"] if kind == "tg" else None


SINTER = os.environ.get("SINTER", ROOT + "/build/release/bin/sinter")


def compiled(spec, scheme, folder):
    output_of([SINTER, "compile", spec, "--context", "2048", "--quant", scheme, "-o", folder])
    return os.path.join(folder, os.path.splitext(os.path.basename(spec))[0])


def pack_beside(program, line):
    """Random weights where the program looks for its own."""
    spec, scheme, _ = LINES[line]
    output_of([SINTER, "pack", spec, "--context", "2048", "--quant", scheme, "--random", "1", "-o",
               program + ".weights"])


def contenders_of(line, a, folder):
    spec, scheme, model = LINES[line]
    got = [Program("sinter", compiled(spec, scheme, os.path.join(folder, line)))]
    if a.peer:
        path = os.path.join(a.peer[1], model + ".gguf")
        if os.path.exists(path):
            got.append(Peer("llama.cpp " + model, a.peer[0], path))
    return got


# ---- measuring ----------------------------------------------------------------------------------


def probe(program, threads):
    text = output_of([program, "bench", "--random", "1", "-p", "0", "-n", "0", "--threads", str(threads), "--json",
                      "--quiet"])
    r = json.loads(text)
    return max(r["read_bandwidth_before"], r["read_bandwidth_after"])


def measure(contenders, prober, a, threads, kind):
    """Of each contender a list over the rounds: tokens/s, bytes/s, probed bytes/s, foreign percent."""
    runs = [[] for _ in contenders]
    for c in contenders:
        c.beside = []
    for turn in range(a.rounds):
        if a.quiet_below < 100:
            wait_for_quiet(a.quiet_below)
        order = list(range(len(contenders)))
        last = probe(prober, threads)
        for i in order if turn % 2 == 0 else reversed(order):
            ticks = cpu_ticks()
            speed, rate = contenders[i].run(a, threads, kind)
            foreign = foreign_share(ticks, cpu_ticks())
            now = probe(prober, threads)
            runs[i].append((speed, rate, (last + now) / 2, foreign))
            last = now
    return runs


def spread(values, form="{:.1f}"):
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{form.format(middle):>8} ({form.format(low)} .. {form.format(high)})"


def print_runs(line, contenders, runs, threads, kind, a):
    test = f"pp{a.prompt}" if kind == "pp" else f"tg{a.tokens}"
    for c, mine in zip(contenders, runs):
        text = f"{line:14} t={threads} {test:6} {c.label:20} {spread([r[0] for r in mine]):32} tok/s"
        if all(r[1] for r in mine):
            text += f"  {spread([100 * r[1] / r[2] for r in mine]):26} % of read"
            text += f"  {spread([r[2] / 1e9 for r in mine]):24} GB/s probed"
        if c.beside and kind == "tg":
            text += f"  {spread([100 * share for share in c.beside]):26} % of reads beside"
        ratios = [r[0] / first[0] for r, first in zip(mine, runs[0])]
        if c is not contenders[0]:
            text += f"  x {spread(ratios, '{:.3f}')}"
        print(f"{text}  others {statistics.median(r[3] for r in mine):.0f} %", flush=True)


def measure_first(line, programs, a, threads, folder):
    """Prints a line for each program that has weights beside it."""
    ids = os.path.join(folder, "ids")
    with open(ids, "wb") as f:
        f.write(b"".join(i.to_bytes(4, "little") for i in (1, 22, 333, 44, 5)))
    programs = [p for p in programs if isinstance(p, Program) and os.path.exists(p.path + ".weights")]
    runs = [[] for _ in programs]
    for turn in range(a.first + 1):
        if a.quiet_below < 100:
            wait_for_quiet(a.quiet_below)
        for p, mine in zip(programs, runs):
            ms = p.first(ids, threads)
            if turn > 0: # by then the weights are in the page cache
                mine.append(ms)
    for p, mine in zip(programs, runs):
        print(f"{line:14} t={threads} first  {p.label:20} {spread(mine):32} ms", flush=True)
    return {p.label: mine for p, mine in zip(programs, runs)}


def main():
    a = options()
    names = a.what or list(LINES)
    given = [n.split("=", 1) for n in names if "=" in n]
    lines = [n for n in names if "=" not in n]
    unknown = [n for n in lines if n not in LINES]
    if unknown or (given and lines):
        sys.exit(f"no such line: {unknown or names}; there are {', '.join(LINES)}, or NAME=PROGRAM only")
    kept = []
    with tempfile.TemporaryDirectory() as folder:
        prober = compiled(ROOT + "/model_specs/tinytales.yaml", "none", folder + "/probe")
        for line in lines or ["programs"]:
            contenders = [Program(*g) for g in given] if given else contenders_of(line, a, folder)
            if a.first and not given:
                pack_beside(contenders[0].path, line)
            for threads in [int(t) for t in a.threads.split(",")]:
                if a.first:
                    kept.append({"line": line, "threads": threads, "test": "first",
                                 "runs": measure_first(line, contenders, a, threads, folder)})
                for kind in [k for k, n in (("pp", a.prompt), ("tg", a.tokens)) if n > 0]:
                    runs = measure(contenders, prober, a, threads, kind)
                    print_runs(line, contenders, runs, threads, kind, a)
                    kept.append({"line": line, "threads": threads, "test": kind,
                                 "runs": {c.label: r for c, r in zip(contenders, runs)}})
    if a.json:
        with open(a.json, "w") as f:
            json.dump(kept, f, indent=1)


if __name__ == "__main__":
    main()
