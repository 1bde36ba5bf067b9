//# wgmma_join.cu - the end of a piece of a split tile: its sums are left for the cluster that has the
//# tile's last step, or, if this is the one, what others have left is added. A thread's sums are
//# taken over by the same thread of another block; `ready` says for each warp in which launch.
if (piece.to < STEPS) {
    float *const to = split.sums + (int64_t)blockIdx.x * (BW * BT) + threadIdx.x;
#pragma unroll
    for (int i = 0; i < BT / 2; i++) {
        if (t0 + i / 4 * 8 < rows) {
            __stcg(to + i * (WARPS * 32), sums[i]);
        }
    }
    __syncwarp();
    if (lane == 0) {
        store_release(split.ready + blockIdx.x * WARPS + threadIdx.x / 32, split.turn);
    }
    continue;
}
if (piece.from > 0) {
    for (int of = cluster - 1; first_step(of + 1) > piece.tile * STEPS; of--) {
        const int block = of * CLUSTER + rank;
        const float *const left = split.sums + (int64_t)block * (BW * BT) + threadIdx.x;
        while (load_acquire(split.ready + block * WARPS + threadIdx.x / 32) != split.turn) {
        }
#pragma unroll
        for (int first = 0; first < BT / 2; first += ${PART}) {
            __syncwarp(); /* loads of one part at once, for which there are registers */
#pragma unroll
            for (int i = first; i < first + ${PART}; i++) {
                if (t0 + i / 4 * 8 < rows) {
                    sums[i] += __ldcg(left + i * (WARPS * 32));
                }
            }
        }
    }
}
