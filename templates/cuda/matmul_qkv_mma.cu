//# matmul_qkv_mma.cu - the merged q, k, v projection for many tokens on the tensor cores. A block
//# takes one head and a warp all its columns, so that columns d and d + HEAD_DIM / 2, which RoPE
//# rotates together, are in one thread: in neighbouring tiles of 8 rows when the rows are paired.
${launch(HEADS + 2 * KV_HEADS, "(rows + 127) / 128", 256)};
void ${name}(${params})
{
    enum { K = ${K}, HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    const int64_t unit = blockIdx.x;
    ${part(sums, "(unit * HEAD_DIM + i)")};
#pragma unroll
    for (int e = 0; e < 4; e++) {
        const int64_t t = t0 + warp_m + lane / 4 + e / 2 * 8;
        if (t >= rows) {
            continue;
        }
        //% if has("angles")
        const float *angle = ${row("angles", "t")};
        //% end
#pragma unroll
        for (int j = 0; j < NT / 2; j++) {
            const int d = j * 8 + lane % 4 * 2 + e % 2;
            float low, high;
            {
                const int64_t n = unit * HEAD_DIM + d;
                const float acc0 = acc[0][${PAIRED > 0 ? "j * 2" : "j"}][e];
                ${leaves};
                low = ${value};
                (void)n;
            }
            {
                const int64_t n = unit * HEAD_DIM + d + HEAD_DIM / 2;
                const float acc0 = acc[0][${PAIRED > 0 ? "j * 2 + 1" : "j + NT / 2"}][e];
                ${leaves};
                high = ${value};
                (void)n;
            }
            //% if has("angles")
            if (unit < HEADS + KV_HEADS) {
                const float c = angle[d], s = angle[HEAD_DIM / 2 + d], was = low;
                low = low * c - high * s;
                high = high * c + was * s;
            }
            //% end
            if (unit < HEADS) {
                ${put("q", "t", "unit * HEAD_DIM + d", "low")};
                ${put("q", "t", "unit * HEAD_DIM + d + HEAD_DIM / 2", "high")};
            } else if (pos[t] >= 0 && unit < HEADS + KV_HEADS) {
                const int64_t at = ((unit - HEADS) * CONTEXT + pos[t]) * HEAD_DIM + d;
                ${k_type} *to = (${k_type} *)(kv[${sequence("t")}] + k_cache) + at;
                to[0] = ${to_k("low")};
                to[HEAD_DIM / 2] = ${to_k("high")};
            } else if (pos[t] >= 0) {
                const int64_t at = ((unit - HEADS - KV_HEADS) * CONTEXT + pos[t]) * HEAD_DIM + d;
                ${v_type} *to = (${v_type} *)(kv[${sequence("t")}] + v_cache) + at;
                to[0] = ${to_v("low")};
                to[HEAD_DIM / 2] = ${to_v("high")};
            }
        }
    }
}
