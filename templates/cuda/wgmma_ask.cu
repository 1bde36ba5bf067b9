//# wgmma_ask.cu - the part of one thread that keeps the ring full: see wgmma_begin.cu.
asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
if (warp == 0 && lane == 0) {
    uint32_t step = 0;
    for (int tile = blockIdx.x / CLUSTER; tile < tiles; tile += gridDim.x / CLUSTER) {
        const int t0 = tile % token_tiles * BT;
        const int w0 = (tile / token_tiles * CLUSTER + rank) * (BW / 16);
        for (int k = 0; k < STEPS; k++, step++) {
            const uint32_t stage = step % STAGES, at = ring + stage * STAGE,
                           come = full + stage * 8;
            barrier_wait(empty + stage * 8, (step / STAGES & 1) ^ 1);
            barrier_expect(come, STAGE);
            for (int part = rank; part < 2; part += CLUSTER) {
                tensor_copy_rows<CLUSTER>(at + part * (X_STAGE / 2), &x_map, k * BK,
                                          t0 + part * (BT / 2), come);
            }
            //% if W_BITS == 16
            tensor_copy_tiles(at + X_STAGE, &w_map, 0, k * 2, w0, come);
            tensor_copy_tiles(at + X_STAGE + W_STAGE / 2, &w_map, 0, k * 2 + 1, w0, come);
            //% elif W_BITS == 8
            tensor_copy_tiles(at + X_STAGE, &w_map, 0, k, w0, come);
            //% else
            tensor_copy_tiles(at + X_STAGE, &w_map, k % 2 * 32, k / 2, w0, come);
            //% end
        }
    }
}
__syncwarp();
