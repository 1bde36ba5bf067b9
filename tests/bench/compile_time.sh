#!/bin/sh
# How long `sinter compile --emit src` takes and how much memory: median wall time of several runs,
# peak memory of one. The goal is 50 ms and 64 MB for the largest spec; reported, not asserted. The
# first run into an empty folder writes the runtime's sources too, each with an fsync.
#
#   sh tests/bench/compile_time.sh [SPEC...]      SINTER: the command, default build/release/bin/sinter
#
# As a test it fails only where the command fails. Wall time is that of the whole process: start, spec, rules, passes of every phase, plan, files.
set -u

cd "$(dirname "$0")/../.." || exit 2
SINTER=${SINTER:-$(pwd)/build/release/bin/sinter}
[ $# -gt 0 ] || set -- model_specs/gpt3-175b.yaml model_specs/llama-3.3-70b.yaml \
    model_specs/dense-32b-int8.yaml model_specs/tinytales.yaml
python3 - "$SINTER" "$@" <<'PYTHON'
import os, resource, statistics, subprocess, sys, tempfile, time

RUNS = 15
sinter, specs = sys.argv[1], sys.argv[2:]


def compile_once(spec, folder):
    """Wall seconds and peak bytes of one run."""
    start = time.perf_counter()
    child = subprocess.Popen([sinter, "compile", spec, "--emit", "src", "-o", folder])
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        print(f"not ok - compile time of {spec}: sinter failed")
        sys.exit(1)
    return seconds, usage.ru_maxrss * 1024


for spec in specs:
    with tempfile.TemporaryDirectory() as folder:
        first, peak = compile_once(spec, folder)
        runs = [compile_once(spec, folder)[0] for _ in range(RUNS)]
        stem = os.path.splitext(os.path.basename(spec))[0]
        size = sum(os.path.getsize(os.path.join(folder, f))
                   for f in os.listdir(folder) if f in (stem + ".c", stem + ".h"))
    print(f"ok - {stem}: median {statistics.median(runs) * 1e3:.1f} ms, fastest "
          f"{min(runs) * 1e3:.1f}, first {first * 1e3:.1f}; peak {peak / 1e6:.1f} MB; "
          f"{size / 1e3:.0f} kB of sources")
PYTHON
