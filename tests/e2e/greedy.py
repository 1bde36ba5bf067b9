#!/usr/bin/env python3
"""Greedy continuations of a compiled tinytales against examples/tinytales/expected.json.

    greedy.py generate PROGRAM [OPTION...]   ids that the program generates are the expected ones
    greedy.py logits PROGRAM [OPTION...]     fed prompt and continuation, the largest logit of every
                                             position is the id that follows (all of the batch)
    greedy.py text PROGRAM [OPTION...]       what it prints after -p PROMPT is the expected text
    greedy.py tokenize PROGRAM [OPTION...]   ids of every string of tokenizer_cases.json

Options go to the program; a word before the program such as `qemu-aarch64` runs it. With PROMPTS=N
in the environment only the first N prompts are used. Needs nothing but Python.
"""
import array
import json
import os
import subprocess
import sys
import tempfile

EXAMPLE = "examples/tinytales"


def run(command):
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}: {command}\n{done.stderr.decode()}")
    return done.stdout.decode()


def write_ids(path, ids):
    with open(path, "wb") as f:
        array.array("i", ids).tofile(f)


def read_floats(path):
    data = array.array("f")
    with open(path, "rb") as f:
        data.frombytes(f.read())
    return data


def compare(what, got, want):
    if got == want:
        return 0
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    print(f"{what}: differs from place {at}\n  got  {got[at:at + 12]}\n  want {want[at:at + 12]}")
    return 1


def argmaxes(path, sequences, n, vocab):
    """[sequences][n] places of the largest logits."""
    x = read_floats(path)
    assert len(x) == sequences * n * vocab, f"{len(x)} logits, expected {sequences}x{n}x{vocab}"
    rows = (x[i * vocab:(i + 1) * vocab] for i in range(sequences * n))
    best = [r.index(max(r)) for r in rows]
    return [best[s * n:(s + 1) * n] for s in range(sequences)]


def check_generate(command, case, bos, tmp):
    write_ids(tmp, [bos] + case["prompt_ids"])
    out = run(command + ["--tokens", tmp, "--generate", str(len(case["ids"]))])
    return compare(case["prompt"], [int(w) for w in out.split()], case["ids"])


def check_logits(command, case, bos, tmp):
    ids = [bos] + case["prompt_ids"] + case["ids"]
    write_ids(tmp, ids)
    run(command + ["--tokens", tmp, "--logits", tmp + ".f32"])
    batch = int(command[command.index("--batch") + 1]) if "--batch" in command else 1
    best = argmaxes(tmp + ".f32", batch, len(ids), 2048)
    start = len(case["prompt_ids"])
    return sum(compare(case["prompt"], b[start:-1], case["ids"]) for b in best)


def check_text(command, case, bos, tmp):
    out = run(command + ["-p", case["prompt"], "-n", str(len(case["ids"])), "-q"])
    return compare(case["prompt"], out, case["prompt"] + case["text"] + "\n")


def check_tokenizer(command):
    with open(f"{EXAMPLE}/tokenizer_cases.json", encoding="utf-8") as f:
        cases = json.load(f)
    command = command + ["tokenize", "--no-bos", "--skip-checksums", "-p"]
    return sum(compare(repr(c["text"]), [int(w) for w in run(command + [c["text"]]).split()],
                       c["ids"]) for c in cases)


def main():
    mode, command = sys.argv[1], sys.argv[2:]
    if mode == "tokenize":
        return check_tokenizer(command)
    one = {"generate": check_generate, "logits": check_logits, "text": check_text}[mode]
    with open(f"{EXAMPLE}/expected.json", encoding="utf-8") as f:
        expected = json.load(f)
    with tempfile.TemporaryDirectory() as folder:
        tmp = os.path.join(folder, "ids")
        cases = expected["greedy"][:int(os.environ.get("PROMPTS", "99"))]
        return sum(one(command, c, expected["bos_id"], tmp) for c in cases)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
