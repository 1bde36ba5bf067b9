//# matmul_qkv.cu - the merged q, k, v projection. A block takes WIDTH rows of one head: all of it
//# when a norm spans the head, else rows d and d + HEAD_DIM / 2, which RoPE rotates together;
//# bias, norm, RoPE and the append to the caches happen while they are in shared memory. Heads:
//# HEADS of q, KV_HEADS of k, KV_HEADS of v.
${launch(floor(HEAD_DIM / WIDTH) * (HEADS + 2 * KV_HEADS), token_blocks, 256)};
void ${name}(${params})
{
    enum { K = ${K}, HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    enum { TOKENS = ${TOKENS}, WIDTH = ${WIDTH}, R = ${R}, WARPS = 8, PARTS = HEAD_DIM / WIDTH };
    //% if octets
    enum { PER = 8 };
    //% else
    enum { PER = 1 };
    //% end
    const int64_t unit = blockIdx.x / PARTS;
    //% if WIDTH < HEAD_DIM
    const int first = blockIdx.x % PARTS * (WIDTH / 2);
    //% end
    //% if many
    const int64_t t0 = (int64_t)blockIdx.y * TOKENS;
    //% else
    const int64_t t0 = 0;
    //% end
    __shared__ float head[TOKENS][WIDTH];
    __shared__ float part[WARPS][TOKENS * R];
    for (int i0 = 0; i0 < WIDTH; i0 += R) {
        int64_t row[R];
#pragma unroll
        for (int i = 0; i < R; i++) {
            //% if PAIRED > 0
            const int d = ${column_i}, half = HEAD_DIM / 2;
            row[i] = unit * HEAD_DIM + d % half / ${PAIRED} * ${2 * PAIRED} + d / half * ${PAIRED} +
                     d % ${PAIRED};
            //% else
            row[i] = unit * HEAD_DIM + ${column_i};
            //% end
        }
        ${sum_type} sum[TOKENS][R] = {};
        for (int k = threadIdx.x * PER; k < K; k += WARPS * 32 * PER) {
            ${part("sums", "row[i]")};
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TOKENS * R; i++) {
            const float all = warp_sum((float)sum[i / R][i % R]);
            if (threadIdx.x % 32 == 0) {
                part[threadIdx.x / 32][i] = all;
            }
        }
        __syncthreads();
        for (int i = threadIdx.x; i < TOKENS * R; i += WARPS * 32) {
            const int at = i0 + i % R;
            const int64_t t = t0 + i / R < rows ? t0 + i / R : rows - 1;
            const int64_t n = unit * HEAD_DIM + ${column_at};
            float acc0 = 0;
            for (int warp = 0; warp < WARPS; warp++) {
                acc0 += part[warp][i];
            }
            ${leaves};
            (void)t, (void)n;
            head[i / R][at] = ${value};
        }
    }
    __syncthreads();
    //% if has("q_gain") || has("k_gain")
    if (unit < HEADS + KV_HEADS) {
        for (int j = threadIdx.x / 32; j < TOKENS; j += WARPS) {
            float squares = 0;
            for (int d = threadIdx.x % 32; d < HEAD_DIM; d += 32) {
                squares += head[j][d] * head[j][d];
            }
            const float r = rsqrtf(warp_sum(squares) / HEAD_DIM + ${eps});
            for (int d = threadIdx.x % 32; d < HEAD_DIM; d += 32) {
                const float q_d = ${scalar("q_gain", "d")}, k_d = ${scalar("k_gain", "d")};
                head[j][d] *= r * (unit < HEADS ? q_d : k_d);
            }
        }
    }
    __syncthreads();
    //% end
    for (int i = threadIdx.x; i < TOKENS * WIDTH; i += WARPS * 32) {
        const int j = i / WIDTH, at = i % WIDTH;
        const int64_t t = t0 + j;
        if (t >= rows) {
            continue;
        }
        const int d = ${column_at};
        float y = head[j][at];
        //% if has("angles")
        if (unit < HEADS + KV_HEADS && d < ${DIMS}) {
            const float *angle = ${row("angles", "t")};
            //% if style == "half" && WIDTH < HEAD_DIM
            const int pair = d % ${floor(DIMS / 2)}, other = (at + WIDTH / 2) % WIDTH;
            const bool low = at < WIDTH / 2;
            //% elif style == "half"
            const int pair = d % ${floor(DIMS / 2)};
            const bool low = d < ${floor(DIMS / 2)};
            const int other = low ? d + ${floor(DIMS / 2)} : pair;
            //% else
            const int pair = d / 2, other = d ^ 1;
            const bool low = d % 2 == 0;
            //% end
            const float turned = head[j][other] * angle[${floor(DIMS / 2)} + pair];
            y = y * angle[pair] + (low ? -turned : turned);
        }
        //% end
        if (unit < HEADS) {
            ${put("q", "t", "unit * HEAD_DIM + d", "y")};
        } else if (pos[t] >= 0 && unit < HEADS + KV_HEADS) {
            const int64_t to = ((unit - HEADS) * CONTEXT + pos[t]) * HEAD_DIM + d;
            ((${k_type} *)(kv[${sequence("t")}] + k_cache))[to] = ${to_k("y")};
        } else if (pos[t] >= 0) {
            const int64_t to = ((unit - HEADS - KV_HEADS) * CONTEXT + pos[t]) * HEAD_DIM + d;
            ((${v_type} *)(kv[${sequence("t")}] + v_cache))[to] = ${to_v("y")};
        }
    }
}
