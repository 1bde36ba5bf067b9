"""Compares what a compiled golden model printed with what Hugging Face transformers computed.

  compare.py prompt GOLDEN                  bytes of tokens.i32 that are the prompt
  compare.py check GOLDEN OUT DTYPE NAME    TAP lines for OUT/{prefill,decode,batch}.f32, OUT/ids

Limits: relative L2 error of all logits 1e-4 in f32, 2e-2 in bf16. Greedy ids must be equal at every
generated position in f32; in bf16 a golden id may lose only against one whose golden logit is as
good within the error.
"""
import array
import math
import sys

NEW = 16  # generated ids at the end of tokens.i32
LIMIT = {"f32": 1e-4, "bf16": 2e-2}


def read(path, kind):
    values = array.array(kind)
    with open(path, "rb") as f:
        values.frombytes(f.read())
    if sys.byteorder == "big":
        values.byteswap()
    return values


def argmax(row):
    return max(range(len(row)), key=row.__getitem__)


def rows(values, vocab):
    return [values[i:i + vocab] for i in range(0, len(values), vocab)]


def relative_error(got, want):
    error = sum((a - b) ** 2 for a, b in zip(got, want))
    return math.sqrt(error / sum(b * b for b in want))


def same_choice(got, want, limit):
    """Is the greedy id of `got` that of `want`, or in a near tie with it?"""
    a, b = argmax(got), argmax(want)
    size = math.sqrt(sum(x * x for x in want) / len(want))
    tie = 0 if limit < 1e-3 else 4 * limit * size
    return a == b or want[b] - want[a] <= tie


def check_logits(got, want, vocab, limit, name):
    if len(got) != len(want):
        print(f"not ok - {name}: {len(got)} logits, expected {len(want)}")
        return
    error = relative_error(got, want)
    pairs = list(zip(rows(got, vocab), rows(want, vocab)))[-NEW - 1:]
    good = sum(same_choice(g, w, limit) for g, w in pairs)
    verdict = "ok" if error <= limit and good == len(pairs) else "not ok"
    print(f"{verdict} - {name}: relative L2 {error:.1e}, {good} of {len(pairs)} greedy ids")


def check_ids(text, tokens, limit, name):
    ids = [int(word) for word in text.split()]
    want = list(tokens[-NEW:])
    same = next((i for i in range(NEW) if ids[i:i + 1] != want[i:i + 1]), NEW)
    if limit < 1e-3:
        verdict = "ok" if ids == want else "not ok"
        print(f"{verdict} - {name}: generates {same} of {NEW} ids as expected")
    else:  # one near tie changes everything behind it
        verdict = "ok" if len(ids) == NEW else "not ok"
        print(f"{verdict} - {name}: generates {len(ids)} ids, the first {same} as expected")


def check(golden, out, dtype, name):
    tokens, want = read(f"{golden}/tokens.i32", "i"), read(f"{golden}/logits.f32", "f")
    vocab, limit = len(want) // len(tokens), LIMIT[dtype]
    for kind, copies in (("prefill", 1), ("decode", 1), ("batch", 2)):
        got = read(f"{out}/{kind}.f32", "f")
        check_logits(got, want * copies, vocab, limit, f"{name} {kind}")
    with open(f"{out}/ids", encoding="ascii") as f:
        check_ids(f.read(), tokens, limit, name)


def main():
    if sys.argv[1] == "prompt":
        print(4 * (len(read(f"{sys.argv[2]}/tokens.i32", "i")) - NEW))
    else:
        check(*sys.argv[2:])


main()
