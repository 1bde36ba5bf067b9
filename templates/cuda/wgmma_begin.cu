//# wgmma_begin.cu - what every warpgroup of a matmul on sm_90a knows: the tiles of the result, the
//# ring of stages in shared memory, its barriers. Two warpgroups multiply 64 rows of weights each by
//# BT tokens, a third asks the copy engine for what they read:
//#
//#   x [rows, K]                 --> stage: BT tokens x 64 columns, swizzled by 128 bytes; the
//#                                   blocks of a cluster have tokens in common and each asks for
//#                                   its part of them for all
//#   w tiles of 16 rows x 64 B   --> stage: 128 rows x 64 columns, 16-bit weights as two halves of
//#                                   32 columns, swizzled by 64 bytes (4-bit codes: 32). Narrow
//#                                   tiles wait for the copy engine, which takes a line at a time:
//#                                   they copy lines of 128 bytes, two rows each, swizzled by as
//#                                   much, which is the same but that the odd and even rows from
//#                                   the eighth of a tile on have changed places
//#
//# Tiles are taken tokens first: clusters at work share weights, and all of x stays in L2. Where that
//# leaves clusters without work, all steps of all tiles are dealt out evenly instead (split): a
//# cluster has pieces of tiles, from the last one down. Whoever has a tile's last step adds what
//# clusters before it have left in memory of theirs, always in the same order, and never waits for
//# a cluster behind it.
enum { BW = 128, BK = 64, STEPS = K / BK, CLUSTER = ${CLUSTER}, WARPS = 8 };
enum { X_STAGE = BT * BK * 2, W_STAGE = BW * BK * ${W_BITS} / 8, STAGE = X_STAGE + W_STAGE };
enum { STAGES = (${SHARED_BYTES} - 1024 - 256) / STAGE };
extern __shared__ uint8_t shared_bytes[];
const uint32_t ring = (shared_address(shared_bytes) + 1023) / 1024 * 1024;
const uint32_t full = ring + STAGES * STAGE, empty = full + STAGES * 8;
const int team = threadIdx.x / 128, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
const int rank = CLUSTER > 1 ? cluster_rank() : 0;
const int token_tiles = (rows + BT - 1) / BT;
const int tiles = token_tiles * ((ROWS + BW * CLUSTER - 1) / (BW * CLUSTER));
const int clusters = gridDim.x / CLUSTER, cluster = blockIdx.x / CLUSTER;
struct Piece {
    int tile, from, to; /* steps */
};
//% if splits
/* Of a split: a cluster's steps. */
auto first_step = [&](int of) { return (int)((int64_t)tiles * STEPS * of / clusters); };
const int begin = first_step(cluster);
/* Place of the next piece, tiles or steps, and whether there is one. */
const int start = split.turn == 0 ? cluster : first_step(cluster + 1);
auto more = [&](int next) { return split.turn == 0 ? next < tiles : next > begin; };
auto take = [&](int &next) -> Piece {
    if (split.turn == 0) {
        const int tile = next;
        next += clusters;
        return {tile, 0, STEPS};
    }
    const int tile = (next - 1) / STEPS, to = next - tile * STEPS;
    next = tile * STEPS > begin ? tile * STEPS : begin;
    return {tile, next - tile * STEPS, to};
};
//% else
const int start = cluster;
auto more = [&](int next) { return next < tiles; };
auto take = [&](int &next) -> Piece {
    const int tile = next;
    next += clusters;
    return {tile, 0, STEPS};
};
//% end
if (threadIdx.x == 0) {
    for (int s = 0; s < STAGES; s++) {
        barrier_init(full + s * 8, 1);
        barrier_init(empty + s * 8, WARPS * CLUSTER);
    }
}
cluster_sync();
dependents_launch();
dependency_wait();
