"""Writes tests/golden/opt_post: a tiny OPT of the 350m kind with its logits.

Norms stand behind the residual (do_layer_norm_before = false), there is no final norm, the embedding
is narrower than the model (project_in, project_out), and tensor names begin with "decoder." as in
the published opt-350m. Only the standard library, double precision, one token at a time: written
from the description of the architecture, and slow on purpose.

  python3 tests/golden/tools/make_opt_postnorm.py
"""
import array
import json
import math
import os
import random
import struct

VOCAB, WIDTH, EMBED, FFN, HEADS, LAYERS, CONTEXT = 200, 48, 24, 100, 4, 2, 64
PROMPT, NEW = 23, 16
FOLDER = os.path.join(os.path.dirname(__file__), "..", "opt_post")

random.seed(350)


def bf16(x):
    """x rounded to the nearest bfloat16, and its 16 bits."""
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16
    return struct.unpack("<f", struct.pack("<I", bits << 16))[0], bits


class Checkpoint:
    """Random tensors, in bf16."""

    def __init__(self):
        self.shape, self.bits = {}, {}

    def tensor(self, name, shape, spread, mean=0.0):
        pairs = [bf16(random.gauss(mean, spread)) for _ in range(math.prod(shape))]
        self.shape[name], self.bits[name] = shape, [b for _, b in pairs]
        values = [v for v, _ in pairs]
        if len(shape) == 1:
            return values
        return [values[i:i + shape[1]] for i in range(0, len(values), shape[1])]

    def linear(self, name, outputs, inputs):
        return (self.tensor(name + ".weight", (outputs, inputs), 1.5 / math.sqrt(inputs)),
                self.tensor(name + ".bias", (outputs,), 0.1))

    def norm(self, name):
        return (self.tensor(name + ".weight", (WIDTH,), 0.2, 1.0),
                self.tensor(name + ".bias", (WIDTH,), 0.1))

    def write(self, path):
        header, data = {"__metadata__": {"format": "pt"}}, bytearray()
        for name in sorted(self.shape):
            start = len(data)
            data += struct.pack(f"<{len(self.bits[name])}H", *self.bits[name])
            header[name] = {"dtype": "BF16", "shape": list(self.shape[name]),
                            "data_offsets": [start, len(data)]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + data)


def times(matrix, x):
    return [sum(w * v for w, v in zip(row, x)) for row in matrix]


def affine(linear, x):
    return plus(times(linear[0], x), linear[1])


def plus(a, b):
    return [x + y for x, y in zip(a, b)]


def layernorm(norm, x):
    mean = sum(x) / len(x)
    scale = 1 / math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + 1e-5)
    return [(v - mean) * scale * g + b for v, g, b in zip(x, *norm)]


class Layer:
    def __init__(self, c, name):
        self.q, self.k, self.v, self.o = (
            c.linear(f"{name}.self_attn.{p}", WIDTH, WIDTH)
            for p in ("q_proj", "k_proj", "v_proj", "out_proj"))
        self.up, self.down = c.linear(f"{name}.fc1", FFN, WIDTH), c.linear(f"{name}.fc2", WIDTH, FFN)
        self.norm1, self.norm2 = c.norm(f"{name}.self_attn_layer_norm"), c.norm(f"{name}.final_layer_norm")
        self.keys, self.values = [], []

    def attention(self, x):
        dim, out = WIDTH // HEADS, []
        q = affine(self.q, x)
        self.keys.append(affine(self.k, x))
        self.values.append(affine(self.v, x))
        for h in range(0, WIDTH, dim):
            scores = [sum(a * b for a, b in zip(q[h:h + dim], k[h:h + dim])) / math.sqrt(dim)
                      for k in self.keys]
            weights = [math.exp(s - max(scores)) for s in scores]
            out += [sum(w * v[h + i] for w, v in zip(weights, self.values)) / sum(weights)
                    for i in range(dim)]
        return affine(self.o, out)

    def forward(self, x):
        x = layernorm(self.norm1, plus(x, self.attention(x)))
        hidden = [max(v, 0.0) for v in affine(self.up, x)]
        return layernorm(self.norm2, plus(x, affine(self.down, hidden)))


class Model:
    def __init__(self, c):
        self.embedding = c.tensor("decoder.embed_tokens.weight", (VOCAB, EMBED), 1.0)
        self.positions = c.tensor("decoder.embed_positions.weight", (CONTEXT + 2, WIDTH), 0.3)
        self.project_in = c.tensor("decoder.project_in.weight", (WIDTH, EMBED), 0.2)
        self.project_out = c.tensor("decoder.project_out.weight", (EMBED, WIDTH), 0.2)
        self.layers = [Layer(c, f"decoder.layers.{i}") for i in range(LAYERS)]

    def logits(self, token, position):
        x = plus(times(self.project_in, self.embedding[token]), self.positions[position + 2])
        for layer in self.layers:
            x = layer.forward(x)
        return times(self.embedding, times(self.project_out, x))


def main():
    os.makedirs(FOLDER, exist_ok=True)
    c = Checkpoint()
    model = Model(c)
    tokens = [random.randrange(VOCAB) for _ in range(PROMPT)]
    logits = []
    for i in range(PROMPT + NEW):
        row = model.logits(tokens[i], i)
        logits += row
        if i + 1 >= PROMPT and len(tokens) < PROMPT + NEW:
            tokens.append(row.index(max(row)))
    config = {
        "architectures": ["OPTForCausalLM"], "model_type": "opt", "activation_function": "relu",
        "do_layer_norm_before": False, "_remove_final_layer_norm": False, "enable_bias": True,
        "layer_norm_elementwise_affine": True, "hidden_size": WIDTH, "word_embed_proj_dim": EMBED,
        "ffn_dim": FFN, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
        "max_position_embeddings": CONTEXT, "vocab_size": VOCAB, "torch_dtype": "bfloat16",
        "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1, "prefix": "</s>",
    }
    with open(os.path.join(FOLDER, "config.json"), "w", encoding="ascii") as f:
        json.dump(config, f, indent=2)
        f.write("\n")
    c.write(os.path.join(FOLDER, "model.safetensors"))
    for name, values in (("tokens.i32", array.array("i", tokens)), ("logits.f32", array.array("f", logits))):
        with open(os.path.join(FOLDER, name), "wb") as f:
            f.write(values.tobytes())


main()
