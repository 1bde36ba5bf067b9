//# attention.cu - softmax(q . k) . v in one pass over the cache, BLOCK positions at a time: each
//# thread has the scores of one position, then each a column of the values. A block of threads is
//# one token and one key/value head: its GROUP query heads share what is read.
${launch("rows", KV_HEADS, 128)};
void ${name}(${params})
{
    enum { GROUP = ${GROUP}, HEAD_DIM = ${HEAD_DIM}, BLOCK = 128 };
    /* Columns of the values to a thread, and threads (of different positions) to a column. */
    enum { COLS = (HEAD_DIM + BLOCK - 1) / BLOCK, PARTS = HEAD_DIM < BLOCK ? BLOCK / HEAD_DIM : 1 };
    const int64_t t = blockIdx.x, head = blockIdx.y;
    const int tid = threadIdx.x, d0 = tid % HEAD_DIM, part = tid / HEAD_DIM;
    const uint8_t *cache = kv[${sequence("t")}];
    const ${k_type} *keys = (const ${k_type} *)(cache + k_cache) + head * CONTEXT * HEAD_DIM;
    const ${v_type} *values = (const ${v_type} *)(cache + v_cache) + head * CONTEXT * HEAD_DIM;
    //% if k_scaled
    const float *key_scales = (const float *)(cache + k_scale) + head * CONTEXT;
    //% end
    //% if v_scaled
    const float *value_scales = (const float *)(cache + v_scale) + head * CONTEXT;
    //% end
    __shared__ float query[GROUP * HEAD_DIM], weight[GROUP][BLOCK];
    for (int i = tid; i < GROUP * HEAD_DIM; i += BLOCK) {
        query[i] = ${get("q", "t", "head * GROUP * HEAD_DIM + i")};
    }
    float sum[GROUP][COLS] = {}, max[GROUP], total[GROUP] = {};
    for (int g = 0; g < GROUP; g++) {
        max[g] = -8.5e37f;
    }
    const int last = pos[t];
    //% if window > 0
    const int first = last < ${window} ? 0 : last - ${window - 1};
    //% else
    const int first = 0;
    //% end
    __syncthreads();
    for (int p0 = first; p0 <= last; p0 += BLOCK) {
        const int n = last + 1 - p0 < BLOCK ? last + 1 - p0 : BLOCK;
        float score[GROUP] = {};
        if (tid < n) {
            const ${k_type} *key = keys + (int64_t)(p0 + tid) * HEAD_DIM;
#pragma unroll 8
            for (int d = 0; d < HEAD_DIM; d++) {
                const float k = ${from_k("key[d]")};
#pragma unroll
                for (int g = 0; g < GROUP; g++) {
                    score[g] += query[g * HEAD_DIM + d] * k;
                }
            }
        }
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
            //% if k_scaled
            float s = score[g] * (tid < n ? key_scales[p0 + tid] : 0) * ${f32(score_scale)};
            //% else
            float s = score[g] * ${f32(score_scale)};
            //% end
            //% if softcap > 0
            s = ${f32(softcap)} * tanhf(s);
            //% end
            s = tid < n ? s : -8.5e37f;
            const float new_max = fmaxf(max[g], block_max(s));
            const float e = expf(s - new_max), shrink = expf(max[g] - new_max);
            total[g] = total[g] * shrink + block_sum(e);
            max[g] = new_max;
            for (int c = 0; c < COLS; c++) {
                sum[g][c] *= shrink;
            }
            //% if v_scaled
            weight[g][tid] = tid < n ? e * value_scales[p0 + tid] : 0;
            //% else
            weight[g][tid] = e;
            //% end
        }
        __syncthreads();
#pragma unroll
        for (int c = 0; c < COLS; c++) {
            const int d = d0 + c * BLOCK;
            if (d < HEAD_DIM && part < PARTS) {
#pragma unroll 4
                for (int i = part; i < n; i += PARTS) {
                    const float v = ${from_v("values[(int64_t)(p0 + i) * HEAD_DIM + d]")};
#pragma unroll
                    for (int g = 0; g < GROUP; g++) {
                        sum[g][c] += weight[g][i] * v;
                    }
                }
            }
        }
        __syncthreads();
    }
    __shared__ float together[PARTS][HEAD_DIM];
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
#pragma unroll
        for (int c = 0; c < COLS; c++) {
            const int d = d0 + c * BLOCK;
            if (d < HEAD_DIM && part < PARTS) {
                together[part][d] = sum[g][c];
            }
        }
        __syncthreads();
        for (int d = tid; d < HEAD_DIM; d += BLOCK) {
            float all = 0;
            for (int i = 0; i < PARTS; i++) {
                all += together[i][d];
            }
            const float y = total[g] > 0 ? all / total[g] : 0;
            ${put("out", "t", "(head * GROUP + g) * HEAD_DIM + d", "y")};
        }
        __syncthreads();
    }
}
