#!/usr/bin/env python3
"""Makes the tinytales model: stories, tokenizer, training, files.

    python3 train.py -o .            writes the model's files into this folder
    python3 train.py -o /tmp/t --stories 4000 --steps 50     a quick trial

Needs torch, transformers and tokenizers; one GPU is used if there is one.
"""
import argparse
import json
import math
import multiprocessing
import os
import time

import make_text

BOS, EOS = "<|begin|>", "<|end|>"
VOCAB = 2048
CONTEXT = 512
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def some_stories(job):
    seed, first, n = job
    return [make_text.story(seed, i) for i in range(first, first + n)]


def write_stories(seed, n):
    step = 500
    jobs = [(seed, i, min(step, n - i)) for i in range(0, n, step)]
    with multiprocessing.Pool() as pool:
        return [s for part in pool.map(some_stories, jobs) for s in part]


def make_tokenizer(stories):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator((s + "\n\n" for s in stories), trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=[BOS, EOS], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    assert tok.get_vocab_size() == VOCAB, tok.get_vocab_size()
    assert tok.token_to_id(BOS) == 0 and tok.token_to_id(EOS) == 1
    # as in Llama 3: a text starts with the begin token unless told otherwise
    tok.post_processor = processors.TemplateProcessing(single=BOS + " $A", pair=BOS + " $A " + BOS + " $B:1",
                                                       special_tokens=[(BOS, 0)])
    return tok


def save_tokenizer(tok, out):
    tok.save(os.path.join(out, "tokenizer.json"))
    with open(os.path.join(out, "tokenizer_config.json"), "w") as f:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS,
                   "model_max_length": CONTEXT, "clean_up_tokenization_spaces": False,
                   "model_input_names": ["input_ids", "attention_mask"]}, f, indent=2)
        f.write("\n")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("-o", "--output", default=".")
    ap.add_argument("--stories", type=int, default=190000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--steps", type=int, default=28000)
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--no-compile", action="store_true")
    a = ap.parse_args()
    os.makedirs(a.output, exist_ok=True)
    t0 = time.time()

    def note(text):
        print("[%6.1f s] %s" % (time.time() - t0, text), flush=True)

    stories = write_stories(a.seed, a.stories)
    note("%d stories, %.1f MB" % (len(stories), sum(map(len, stories)) / 1e6))
    tok = make_tokenizer(stories[:30000])
    save_tokenizer(tok, a.output)
    note("tokenizer with %d ids" % tok.get_vocab_size())

    import numpy as np
    import torch
    import torch.nn.functional as F
    from transformers import LlamaConfig, LlamaForCausalLM

    # Two views of the same stories. Rows of the first kind start with a story
    # and put the end token between stories; rows of the second kind are cut
    # anywhere out of the plain text, where a blank line is between stories.
    told, plain, starts, at = [], [], [], 0
    for i in range(0, len(stories), 4000):
        part = stories[i:i + 4000]
        for e in tok.encode_batch(part, add_special_tokens=False):
            starts.append(at)
            told.append(np.array([0] + e.ids + [1], dtype=np.int16))
            at += len(told[-1])
        for e in tok.encode_batch([s + "\n\n" for s in part], add_special_tokens=False):
            plain.append(np.array(e.ids, dtype=np.int16))
    told, plain, starts = np.concatenate(told), np.concatenate(plain), np.array(starts)
    starts = starts[starts < len(told) - CONTEXT - 1]
    note("%.1f M ids, %.4f ids a byte" % (len(plain) / 1e6, len(plain) / sum(len(s) + 2 for s in stories)))

    dev = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(a.seed)
    told, plain, starts = (torch.from_numpy(x).to(dev) for x in (told, plain, starts))
    cfg = LlamaConfig(vocab_size=VOCAB, hidden_size=256, intermediate_size=768, num_hidden_layers=4,
                      num_attention_heads=8, num_key_value_heads=2, head_dim=32, max_position_embeddings=CONTEXT,
                      rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1,
                      hidden_act="silu", attention_bias=False, mlp_bias=False)
    model = LlamaForCausalLM(cfg).to(dev)
    note("%d weights on %s" % (sum(p.numel() for p in model.parameters()),
                               torch.cuda.get_device_name() if dev == "cuda" else dev))
    decay = [p for p in model.parameters() if p.dim() > 1]
    other = [p for p in model.parameters() if p.dim() <= 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": other, "weight_decay": 0.0}],
                            lr=a.lr, betas=(0.9, 0.95), fused=dev == "cuda")

    def loss_of(x, y):
        with torch.autocast(dev, dtype=torch.bfloat16):
            logits = model(input_ids=x, use_cache=False).logits
        return F.cross_entropy(logits.float().view(-1, VOCAB), y.reshape(-1))

    step_loss = loss_of if a.no_compile or dev == "cpu" else torch.compile(loss_of)
    gen = torch.Generator(device=dev).manual_seed(a.seed)
    span = torch.arange(CONTEXT + 1, device=dev)
    n_told = a.batch * 3 // 8
    warm = max(1, min(400, a.steps // 10))
    model.train()
    for step in range(a.steps):
        lr = a.lr * min((step + 1) / warm, 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * max(0, step - warm) / (a.steps - warm))))
        for g in opt.param_groups:
            g["lr"] = lr
        s = starts[torch.randint(len(starts), (n_told,), generator=gen, device=dev)]
        p = torch.randint(len(plain) - CONTEXT - 1, (a.batch - n_told,), generator=gen, device=dev)
        rows = torch.cat([told[s[:, None] + span], plain[p[:, None] + span - 1]]).long()
        rows[n_told:, 0] = 0
        loss = step_loss(rows[:, :-1], rows[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        if step % 250 == 0 or step == a.steps - 1:
            note("step %5d  loss %.4f  lr %.2e" % (step, loss.item(), lr))

    model = model.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    model.save_pretrained(a.output)
    # older readers look for these two names
    path = os.path.join(a.output, "config.json")
    with open(path) as f:
        c = json.load(f)
    c["rope_theta"], c["torch_dtype"] = 10000.0, "bfloat16"
    with open(path, "w") as f:
        json.dump(c, f, indent=2)
        f.write("\n")
    note("saved in " + a.output)


if __name__ == "__main__":
    main()
