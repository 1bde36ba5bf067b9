#!/usr/bin/env python3
"""Copies of a safetensors file with one thing wrong: broken.py KIND IN OUT.

The kinds are the functions break_KIND below; each changes the parsed header or the bytes.
"""
import json
import struct
import sys

GATE = "model.layers.2.mlp.gate_proj.weight"
NORM = "model.norm.weight"
DOWN = "model.layers.2.mlp.down_proj.weight"


def break_missing(header, data):
    """A weight is not there."""
    del header[GATE]


def break_unknown(header, data):
    """A weight is there that the spec does not know."""
    header["model.layers.2.mlp.surprise.weight"] = dict(header[NORM])
    at = len(data)
    header["model.layers.2.mlp.surprise.weight"]["data_offsets"] = [at, at + 512]
    data += bytes(512)


def break_shape(header, data):
    header[GATE]["shape"] = [256, 768]


def break_dtype(header, data):
    """Integers where floats belong."""
    header[NORM]["dtype"] = "I8"
    header[NORM]["shape"] = [512]


def break_int_dtype(header, data):
    """The right shape, integers in it."""
    header[NORM]["dtype"] = "I16"


def break_dtype_name(header, data):
    header[NORM]["dtype"] = "BF17"


def break_outside(header, data):
    begin, end = header[NORM]["data_offsets"]
    header[NORM]["data_offsets"] = [begin + len(data), end + len(data)]


def break_negative(header, data):
    header[NORM]["data_offsets"] = [-512, 0]


def break_overlap(header, data):
    header[NORM]["data_offsets"] = [256, 768]


def break_size(header, data):
    header[NORM]["shape"] = [512]


def break_overflow(header, data):
    header[NORM]["shape"] = [1 << 40, 1 << 40]


def break_nan(header, data):
    begin = header[NORM]["data_offsets"][0]
    data[begin + 6:begin + 8] = b"\xc0\x7f"


def break_large(header, data):
    """2^22: no f16 is the scale of its group."""
    begin = header[DOWN]["data_offsets"][0]
    data[begin + 6:begin + 8] = b"\x80\x4a"


def break_tiny(header, data):
    """Everything is about 1e-6."""
    begin, end = header[DOWN]["data_offsets"]
    data[begin:end] = b"\x86\x35" * ((end - begin) // 2)


def write(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def main():
    kind, source, target = sys.argv[1:]
    with open(source, "rb") as f:
        raw = f.read()
    n = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + n]), bytearray(raw[8 + n:])
    if kind == "truncated":
        data = data[:len(data) // 2]
    elif kind == "empty":
        return open(target, "wb").close()
    elif kind == "huge_header":
        with open(target, "wb") as f:
            f.write(struct.pack("<Q", 1 << 62) + raw[8:])
        return None
    elif kind == "not_json":
        header = b"{" * 64
    elif kind == "duplicate":
        text = json.dumps(header)
        again = json.dumps({NORM: header[NORM]})
        header = (text[:-1] + "," + again[1:]).encode()
    else:
        globals()["break_" + kind](header, data)
    return write(target, header, bytes(data))


if __name__ == "__main__":
    main()
