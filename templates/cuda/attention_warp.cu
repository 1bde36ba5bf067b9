//# attention_warp.cu - softmax(q . k) . v in one pass over the cache. A block is one token and G
//# query heads of one key/value head. LINE threads take one position, 16 bytes of key and value
//# each, and keep a maximum, a total and a sum of their own; AT_ONCE positions go to a warp in
//# each step, the next keys and values are asked for before the present ones are used. All are put
//# together at the end.
${launch("rows", KV_HEADS *floor(GROUP / G), THREADS)};
void ${name}(${params})
{
    enum { GROUP = ${GROUP}, G = ${G}, HEAD_DIM = ${HEAD_DIM}, WARPS = ${THREADS} / 32 };
    enum { LINE = ${LINE}, AT_ONCE = 32 / LINE, STEP = WARPS * AT_ONCE };
    const int64_t t = blockIdx.x, head = blockIdx.y / (GROUP / G);
    const int64_t query_head = head * GROUP + blockIdx.y % (GROUP / G) * G;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, d = lane % LINE * 8;
    const uint8_t *cache = kv[${sequence("t")}];
    const ${k_type} *keys = (const ${k_type} *)(cache + k_cache) + head * CONTEXT * HEAD_DIM + d;
    const ${v_type} *values = (const ${v_type} *)(cache + v_cache) + head * CONTEXT * HEAD_DIM + d;
    //% if k_scaled
    const float *key_scales = (const float *)(cache + k_scale) + head * CONTEXT;
    //% end
    //% if v_scaled
    const float *value_scales = (const float *)(cache + v_scale) + head * CONTEXT;
    //% end
    const bool inside = d < HEAD_DIM;
    float q_part[G][8], sum[G][8] = {}, max[G], total[G] = {};
#pragma unroll
    for (int g = 0; g < G; g++) {
        max[g] = -8.5e37f;
#pragma unroll
        for (int e = 0; e < 8; e++) {
            q_part[g][e] = inside ? ${get("q", "t", "(query_head + g) * HEAD_DIM + d + e")} *
                                        ${f32(score_scale)}
                                  : 0;
        }
    }
    const int last = pos[t];
    //% if window > 0
    const int first = last < ${window} ? 0 : last - ${window - 1};
    //% else
    const int first = 0;
    //% end
    int p = first + warp * AT_ONCE + lane / LINE;
    ${octet_k} key = {}, next_key = {};
    ${octet_v} value = {}, next_value = {};
    if (p <= last && inside) {
        key = *(const ${octet_k} *)(keys + (int64_t)p * HEAD_DIM);
        value = *(const ${octet_v} *)(values + (int64_t)p * HEAD_DIM);
    }
    for (int p0 = first + warp * AT_ONCE; p0 <= last; p0 += STEP, p += STEP) {
        if (p + STEP <= last && inside) {
            next_key = *(const ${octet_k} *)(keys + (int64_t)(p + STEP) * HEAD_DIM);
            next_value = *(const ${octet_v} *)(values + (int64_t)(p + STEP) * HEAD_DIM);
        }
        float k[8], v[8];
        ${floats_k};
        ${floats_v};
#pragma unroll
        for (int g = 0; g < G; g++) {
            float s = 0;
#pragma unroll
            for (int e = 0; e < 8; e++) {
                s += q_part[g][e] * k[e];
            }
#pragma unroll
            for (int far = LINE / 2; far > 0; far /= 2) {
                s += __shfl_xor_sync(0xffffffff, s, far);
            }
            //% if k_scaled
            s *= p <= last ? key_scales[p] : 0;
            //% end
            //% if softcap > 0
            s = ${f32(softcap)} * tanhf(s);
            //% end
            const float new_max = p <= last ? fmaxf(max[g], s) : max[g];
            const float shrink = __expf(max[g] - new_max);
            float weight = p <= last ? __expf(s - new_max) : 0;
            max[g] = new_max;
            total[g] = total[g] * shrink + weight;
            //% if v_scaled
            weight *= p <= last ? value_scales[p] : 0;
            //% end
#pragma unroll
            for (int e = 0; e < 8; e++) {
                sum[g][e] = sum[g][e] * shrink + weight * v[e];
            }
        }
        key = next_key;
        value = next_value;
    }
    __shared__ float all[WARPS][G][HEAD_DIM], all_max[WARPS][G], all_total[WARPS][G];
#pragma unroll
    for (int g = 0; g < G; g++) {
        float most = max[g];
#pragma unroll
        for (int far = LINE; far < 32; far *= 2) {
            most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, far));
        }
        const float shrink = __expf(max[g] - most);
        total[g] *= shrink;
#pragma unroll
        for (int far = LINE; far < 32; far *= 2) {
            total[g] += __shfl_xor_sync(0xffffffff, total[g], far);
        }
#pragma unroll
        for (int e = 0; e < 8; e++) {
            sum[g][e] *= shrink;
#pragma unroll
            for (int far = LINE; far < 32; far *= 2) {
                sum[g][e] += __shfl_xor_sync(0xffffffff, sum[g][e], far);
            }
            if (lane < LINE && inside) {
                all[warp][g][d + e] = sum[g][e];
            }
        }
        if (lane == 0) {
            all_max[warp][g] = most;
            all_total[warp][g] = total[g];
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < G * HEAD_DIM; i += WARPS * 32) {
        const int g = i / HEAD_DIM;
        float most = all_max[0][g], whole = 0, y = 0;
        for (int w = 1; w < WARPS; w++) {
            most = fmaxf(most, all_max[w][g]);
        }
        for (int w = 0; w < WARPS; w++) {
            const float shrink = __expf(all_max[w][g] - most);
            whole += all_total[w][g] * shrink;
            y += all[w][g][i % HEAD_DIM] * shrink;
        }
        ${put("out", "t", "query_head * HEAD_DIM + i", "whole > 0 ? y / whole : 0")};
    }
}
