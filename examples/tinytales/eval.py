#!/usr/bin/env python3
"""Measures the model of a folder and writes the figures that tests compare with.

    python3 eval.py                  bits per byte of heldout.txt
    python3 eval.py --write          also writes expected.json and tokenizer_cases.json
    python3 eval.py --samples 5      also tells some stories

Bits per byte: the whole file is turned into ids without special tokens and
cut into consecutive windows of 511 ids (the last may be shorter). A window
is fed as the begin token and then the window, from an empty cache, and every
id of the window is predicted. The figure is the sum over all ids of
-log2 p(id | begin token and window so far) over the bytes of the file.
The weights are the bf16 values of the folder, the arithmetic is float32.
"""
import argparse
import json
import math
import os

PROMPTS = ["Once upon a time", "Mia had three apples", "One rainy day, Tom"]

CASES = [
    "", " ", "  ", "   ", "a", "A", "Hello", " Hello", "Hello world", "Hello, world!", "hello   world", "  two spaces in front",
    "two spaces behind  ", "a  b", "a   b", "a    b",
    "Once upon a time, there was a little fox named Pip.", "\"Where is my ball?\" asked Mia.", "Mia had three apples. She picked two more.",
    "I'm you're he'll she'd we've it's don't", "I'M YOU'RE HE'LL DON'T", "can't won't 'tis rock'n'roll O'Neil", "l'\u00e9t\u00e9 d'une",
    "0", "7", "10", "123", "1234567890", "3.14159", "1,000,000", "room 42b", "2+2=4", "\u00bd \u00b2 \u2167 \u0663\u0664",
    "\n", "\n\n", "\n\n\n", "a\nb", "a\n\nb", "a \n b", "a  \n\n  b", "end.\n\nNext", "end.\"\n\"Next", "\r\n", "a\r\nb", "\t", "\tx", "a\tb", "a\t\tb", " \t \n \t x",
    "caf\u00e9", "cafe\u0301", "na\u00efve Stra\u00dfe \u00c6r\u00f8", "\u0415\u043b\u0435\u043d\u0430 \u0438 \u0432\u043e\u043b\u043a", "\u03b1\u03b2\u03b3 \u03a9", "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8", "\ud55c\uad6d\uc5b4", "\u0645\u0631\u062d\u0628\u0627", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u0939\u093f\u0928\u094d\u0926\u0940",
    "\U0001F600", "a \U0001F98A ran", "\U0001F469\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466", "\U0001F1F8\U0001F1EA", "\u00a0nbsp\u00a0x", "thin\u2009space", "zero\u200bwidth", "\ufeffbom",
    "!!!", "...", "---", "?!?!", "(a) [b] {c} <d>", "a/b\\c|d", "x_y_z", "user@example.org", "#tag $5 100%", "\u2014 dash \u2026 \u201cquoted\u201d",
    "<|begin|>", "<|end|>", "a<|end|>b", "The end.<|end|><|begin|>Once", "<|begin|", "<|start|>", " <|end|> ",
    "int main(void) {\n\treturn 0;\n}\n", "supercalifragilisticexpialidocious", "AAAAAAAAAAAAAAAA", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "The quick brown fox jumps over the lazy dog.",
]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", default=here)
    ap.add_argument("--text", default=os.path.join(here, "heldout.txt"))
    ap.add_argument("--write", action="store_true")
    ap.add_argument("--samples", type=int, default=0)
    a = ap.parse_args()

    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tok = Tokenizer.from_file(os.path.join(a.model, "tokenizer.json"))
    bos, eos = tok.token_to_id("<|begin|>"), tok.token_to_id("<|end|>")
    dev = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32, attn_implementation="eager").to(dev).eval()
    auto = AutoTokenizer.from_pretrained(a.model)
    assert auto.bos_token_id == bos and auto.eos_token_id == eos
    assert auto("Hello, world", add_special_tokens=False)["input_ids"] == tok.encode("Hello, world", add_special_tokens=False).ids

    with open(a.text, "rb") as f:
        data = f.read()
    ids = tok.encode(data.decode(), add_special_tokens=False).ids
    span = model.config.max_position_embeddings - 1
    bits = 0.0
    with torch.no_grad():
        for i in range(0, len(ids), span):
            win = ids[i:i + span]
            x = torch.tensor([[bos] + win[:-1]], device=dev)
            lp = torch.log_softmax(model(input_ids=x, use_cache=False).logits[0].double(), -1)
            bits -= lp[torch.arange(len(win)), torch.tensor(win)].sum().item() / math.log(2)
    bpb = bits / len(data)
    print("%d bytes, %d ids, %.4f ids a byte, %.4f bits per byte (%.3f bits an id)" % (len(data), len(ids), len(ids) / len(data), bpb, bits / len(ids)))

    def go_on(ids, n, temp, gen=None, stop=True):
        out, gap = [], 1e9
        with torch.no_grad():
            for _ in range(n):
                x = torch.tensor([(ids + out)[-span - 1:]], device=dev)
                l = model(input_ids=x, use_cache=False).logits[0, -1].double().cpu()
                if temp == 0:
                    top = l.topk(2)
                    gap = min(gap, (top.values[0] - top.values[1]).item())
                    k = top.indices[0].item()
                else:
                    k = torch.multinomial(torch.softmax(l / temp, -1), 1, generator=gen).item()
                if stop and k == eos:
                    break
                out.append(k)
        return out, gap

    greedy = []
    for p in PROMPTS:
        pid = tok.encode(p, add_special_tokens=False).ids
        out, gap = go_on([bos] + pid, 64, 0, stop=False)
        assert eos not in out, p
        greedy.append({"prompt": p, "prompt_ids": pid, "ids": out, "text": tok.decode(out), "smallest_gap": round(gap, 5)})
        print("greedy (smallest gap %.4f): %s|%s" % (gap, p, greedy[-1]["text"]))
    if a.write:
        with open(os.path.join(a.model, "expected.json"), "w") as f:
            json.dump({"bits_per_byte": round(bpb, 6), "heldout_bytes": len(data), "heldout_ids": len(ids),
                       "window_ids": span, "bos_id": bos, "eos_id": eos, "greedy": greedy}, f, indent=1)
            f.write("\n")
        with open(os.path.join(a.model, "tokenizer_cases.json"), "w") as f:
            f.write("[\n" + ",\n".join(json.dumps({"text": c, "ids": tok.encode(c, add_special_tokens=False).ids}) for c in CASES) + "\n]\n")
    gen = torch.Generator().manual_seed(1)
    for i in range(a.samples):
        p = (PROMPTS + ["", "Ben had nine", "\"Where is my"])[i % 6]
        pid = tok.encode(p, add_special_tokens=False).ids
        out, _ = go_on([bos] + pid, 300, 0 if i < 3 else 0.8, gen)
        print("--- %s\n%s%s" % ("greedy" if i < 3 else "temperature 0.8", p, tok.decode(out)))


if __name__ == "__main__":
    main()
