/* ---- positions and blocks ---------------------------------------------------------------------
 */

/* A block's share of a kv head's older positions: first .. end - 1. Their keys and values are part
 * of the stream, behind the weights of qkv; the newest position comes by the exchange. */
struct Share {
    enum {
        PAIRS = GROUP * HEAD_DIM / 2,                /* of a head's outputs */
        ROUND = 8 * 16,                              /* positions that the warps take in turn */
        IN_SLOT = CHUNK * 8 * 1024 / (HEAD_DIM * 2), /* whose keys, or values, fill a slot */
    };
    int head, split, splits, first, end;

    __device__ __forceinline__ bool none(void) const
    {
        return head >= KV || split >= splits;
    }
};

/* Equal shares, of whole groups of 16; one while positions are few, for each more makes the others
 * wait. Blocks with the fewest tiles of qkv come first. */
__device__ __forceinline__ Shares plan_shares(int position)
{
    const int blocks = gridDim.x, all = min((int)MAX_SPLITS, blocks / KV);
    //% if window > 0
    Shares s = {1, 0, max(position - ${window - 1}, 0), 0};
    //% else
    Shares s = {1, 0, 0, 0};
    //% end
    s.first_rank = (int)blockIdx.x + blocks - Shape<QKV>::TILES % blocks;
    const int count = position - s.oldest;
    if (count > ${ALONE_POSITIONS}) {
        s.splits = min((count + ${SPLIT_POSITIONS} - 1) / ${SPLIT_POSITIONS}, all);
    }
    s.each = (count + s.splits * 16 - 1) / (s.splits * 16) * 16;
    return s;
}

__device__ __forceinline__ Share share_of(const Shares *of, int layer, int position)
{
    const int rank = remainder_of(of->first_rank + layer * ${TURN}, gridDim.x);
    Share s = {rank % KV, rank / KV, of->splits, 0, 0};
    s.first = min(of->oldest + s.split * of->each, position);
    s.end = min(s.first + of->each, position);
    return s;
}
