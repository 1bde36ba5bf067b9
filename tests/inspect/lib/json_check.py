"""Fields of `sinter inspect --format json` and how they hang together. Run by formats.sh."""
import json
import sys

x = json.load(open(sys.argv[1]))
assert x["model"] == "llama-3-8b" and x["phase"] == "decode" and x["tokens"] == 1
assert x["device"] == "h200" and x["kv_len"] == 128

steps = x["steps"]
assert [s["pass"] for s in steps][:4] == ["build", "canonicalise", "cse", "dce"]
assert steps[-1]["pass"] == "dce"
for s in steps:
    assert s["ir"].startswith("module @llama-3-8b {"), s["pass"]
    assert set(s["cost"]) == {"weight_bytes", "read_bytes", "write_bytes", "flops", "launches"}
for before, after in zip(steps, steps[1:]):
    if after["changes"] == 0:
        assert before["ir"] == after["ir"], after["pass"]
assert steps[-1]["cost"]["launches"] < steps[0]["cost"]["launches"] / 2
assert steps[-1]["cost"]["weight_bytes"] < steps[0]["cost"]["weight_bytes"] / 3

ledger = x["ledger"]
assert any(e["rule"] == "glu_epilogue" and e["fired"] and e["function"] == "layer" for e in ledger)
for e in ledger:
    if e["fired"]:
        assert e["reason"] is None and e["site"]
        assert e["before"]["launches"] > 0
    else:
        assert e["reason"]

# 32 layers, everything else once
kernels = x["kernels"]
assert {k["function"] for k in kernels} == {"embed", "layer", "head"}
count = sum(32 if k["function"] == "layer" else 1 for k in kernels)
assert count == steps[-1]["cost"]["launches"], (count, steps[-1]["cost"]["launches"])
flops = sum(k["cost"]["flops"] * (32 if k["function"] == "layer" else 1) for k in kernels)
assert abs(flops / steps[-1]["cost"]["flops"] - 1) < 1e-9
assert all(k["roofline_seconds"] > 0 for k in kernels)
