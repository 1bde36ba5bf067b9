/* ---- positions and blocks ---------------------------------------------------------------------
 */

/* A block's share of a kv head's older positions: first .. end - 1. Their keys and values are part
 * of the stream, behind the weights of qkv; the newest position comes by the exchange. */
struct Share {
    enum {
        ROUND = 8 * 16,                              /* positions that the consumers take at once */
        IN_SLOT = CHUNK * 8 * 1024 / (HEAD_DIM * 2), /* whose keys, or values, fill a slot */
        AS_TILE = Shape<QKV>::K * Stored<QKV>::BITS / (HEAD_DIM * 2) / 16 * 16, /* as many bytes */
        MOST = AS_TILE > ${SPLIT_POSITIONS} ? (int)AS_TILE : ${SPLIT_POSITIONS},
    };
    int head, split, splits, first, end;

    __device__ __forceinline__ bool none(void) const
    {
        return head >= KV || split >= splits;
    }
};

__device__ __forceinline__ int whole_groups(int positions, int shares)
{
    return (positions + shares * 16 - 1) / (shares * 16) * 16;
}

//% if window > 0
/* The oldest position that attention still sees from `position`. */
__device__ __forceinline__ int oldest(int position)
{
    return max(position - ${window - 1}, 0);
}

//% end
/* Blocks with the fewest tiles of a layer come first: each has up to MOST positions; when there are
 * more, all others take part too, and have a tile's bytes less. */
__device__ __forceinline__ Share share_of(int layer, int position)
{
    //% if window > 0
    const int skipped = oldest(position);
    position -= skipped;
    //% end
    const int blocks = gridDim.x, qkv = Shape<QKV>::TILES % blocks;
    const int rank = (Shape<QKV>::first_tile(layer) + blocks - qkv) % blocks;
    const int all = min((int)MAX_SPLITS, blocks / KV);
    int light = (2 * blocks - qkv - Shape<GATE_UP>::TILES % blocks) % blocks / KV;
    light = light == 0 ? all : min(light, all);
    Share s = {rank % KV, rank / KV, all, 0, 0};
    int each = whole_groups(max(position - light * Share::AS_TILE, 0), all), more = Share::AS_TILE;
    if (position <= light * Share::MOST) {
        s.splits = min(max((position + ${SPLIT_POSITIONS} - 1) / ${SPLIT_POSITIONS}, 1), light);
        each = whole_groups(position, s.splits), more = 0;
    }
    s.first = min(s.split * each + min(s.split, light) * more, position);
    s.end = min(s.first + each + (s.split < light ? more : 0), position);
    //% if window > 0
    s.first += skipped, s.end += skipped;
    //% end
    return s;
}
