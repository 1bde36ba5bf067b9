//# qkv_append.cu - what stands between the q, k, v projection and attention, where the projection
//# itself cannot: norms of whole heads, other rotations, caches of codes. A warp to a head of a row.
//# Heads: HEADS of q, KV_HEADS of k, KV_HEADS of v.
${launch_early("rows", HEADS + 2 * KV_HEADS, 32)};
void ${name}(${params})
{
    enum { HEADS = ${HEADS}, KV_HEADS = ${KV_HEADS}, HEAD_DIM = ${HEAD_DIM} };
    __shared__ float head[HEAD_DIM];
    const int64_t t = blockIdx.x, h = blockIdx.y;
    const int lane = threadIdx.x;
    dependency_wait();
    dependents_launch();
    for (int d = lane * ${PER}; d < HEAD_DIM; d += 32 * ${PER}) {
        float v[${PER}];
        ${load_v};
#pragma unroll
        for (int e = 0; e < ${PER}; e++) {
            head[d + e] = v[e];
        }
    }
    __syncwarp();
    //% if has("q_gain") || has("k_gain")
    if (h < HEADS + KV_HEADS) {
        float squares = 0;
        for (int d = lane; d < HEAD_DIM; d += 32) {
            squares += head[d] * head[d];
        }
        const float r = rsqrtf(warp_sum(squares) / HEAD_DIM + ${eps});
        for (int d = lane; d < HEAD_DIM; d += 32) {
            const float q_d = ${scalar("q_gain", "d")}, k_d = ${scalar("k_gain", "d")};
            head[d] *= r * (h < HEADS ? q_d : k_d);
        }
        __syncwarp();
    }
    //% end
    //% if has("angles")
    if (h < HEADS + KV_HEADS) {
        const float *angle = ${row("angles", "t")};
        for (int i = lane; i < ${floor(DIMS / 2)}; i += 32) {
            //% if style == "half"
            float *const a = head + i, *const b = head + i + ${floor(DIMS / 2)};
            //% else
            float *const a = head + 2 * i, *const b = head + 2 * i + 1;
            //% end
            const float c = angle[i], s = angle[${floor(DIMS / 2)} + i], was = *a;
            *a = was * c - *b * s;
            *b = *b * c + was * s;
        }
        __syncwarp();
    }
    //% end
    if (h < HEADS) {
        for (int d = lane; d < HEAD_DIM; d += 32) {
            ${put("q", "t", "h * HEAD_DIM + d", "head[d]")};
        }
        return;
    }
    if (pos[t] < 0) {
        return;
    }
    const bool is_v = h >= HEADS + KV_HEADS;
    const int64_t at = (h - HEADS - (is_v ? KV_HEADS : 0)) * CONTEXT + pos[t];
    uint8_t *const cache = kv[${sequence("t")}];
    //% if codes
    ${k_type} *const to = (${k_type} *)(cache + (is_v ? v_cache : k_cache)) + at * HEAD_DIM;
    float max = 0;
    for (int d = lane; d < HEAD_DIM; d += 32) {
        max = fmaxf(max, fabsf(head[d]));
    }
    const float scale = warp_max(max) / ${LARGEST};
    for (int d = lane; d < HEAD_DIM; d += 32) {
        to[d] = ${code_of}(head[d], scale);
    }
    if (lane == 0) {
        ((float *)(cache + (is_v ? v_scale : k_scale)))[at] = scale;
    }
    //% else
    for (int d = lane; d < HEAD_DIM; d += 32) {
        if (is_v) {
            ((${v_type} *)(cache + v_cache))[at * HEAD_DIM + d] = ${to_v("head[d]")};
        } else {
            ((${k_type} *)(cache + k_cache))[at * HEAD_DIM + d] = ${to_k("head[d]")};
        }
    }
    //% end
}
