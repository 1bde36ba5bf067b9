//# wgmma_ask.cu - the part of one thread that keeps the ring full: see wgmma_begin.cu.
asm volatile("setmaxnreg.dec.sync.aligned.u32 ${ASK_REGISTERS};");
if (warp == 0 && lane == 0) {
    const int half = ${half_of_x}; /* tokens copied at once */
    uint32_t step = 0;
    for (int next = start; more(next);) {
        const Piece piece = take(next);
        const int t0 = piece.tile % token_tiles * BT;
        const int w0 = (piece.tile / token_tiles * CLUSTER + rank) * (BW / 16);
        for (int k = piece.from; k < piece.to; k++, step++) {
            const uint32_t stage = step % STAGES, x_to = ring + stage * STAGE,
                           w_to = x_to + X_STAGE, come = full + stage * 8;
            barrier_wait(empty + stage * 8, (step / STAGES & 1) ^ 1);
            barrier_expect(come, W_STAGE + half * 2 * (BK * 2));
            for (int part = rank; part < 2; part += CLUSTER) {
                tensor_copy_rows<CLUSTER>(x_to + part * half * (BK * 2), &x_map, k * BK,
                                          t0 + part * half, come);
            }
            //% if W_BITS == 16
            tensor_copy_tiles(w_to, &w_map, 0, k * 2, w0, come);
            tensor_copy_tiles(w_to + W_STAGE / 2, &w_map, 0, k * 2 + 1, w0, come);
            //% elif W_BITS == 8
            tensor_copy_tiles(w_to, &w_map, 0, k, w0, come);
            //% else
            tensor_copy_tiles(w_to, &w_map, k % 2 * 32, k / 2, w0, come);
            //% end
        }
    }
}
__syncwarp();
