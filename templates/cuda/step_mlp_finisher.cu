/* ---- finisher ---------------------------------------------------------------------------------
 */

struct Finisher {
    Shared *s;
    const Step *step;
    Range range;
    int lane;
    Patience patience;
    uint32_t tag, tiles;

    /* The 8 warps' parts of a tile, added in a fixed order: lane's row is lane % 16. */
    __device__ __forceinline__ float tile_sum(void)
    {
        const int part = tiles % PARTS;
        wait_for(&s->summed[part], tiles / PARTS & 1);
        float v = 0;
#pragma unroll
        for (int w = 0; w < 4; w++) {
            v += s->sums[part][w + lane / 16 * 4][lane % 16];
        }
        v += __shfl_xor_sync(0xffffffffu, v, 16);
        __syncwarp();
        arrive(address_of(&s->taken[part]), lane == 0);
        tiles++;
        return v;
    }

    /* Rows 0 to 7 are gate, 8 to 15 up. */
    __device__ __forceinline__ void publish_hidden(int tile, float v)
    {
        const float up = __shfl_xor_sync(0xffffffffu, v, 8);
        const float h = up * ${activation}(v), next = __shfl_down_sync(0xffffffffu, h, 1);
        if (lane < 8 && lane % 2 == 0) {
            publish(step->words + AT_H + tile * 4 + lane / 2, bf16_pair(h, next), tag);
        }
    }

    /* The lane's row of the part of a tile that a block before this one has. */
    __device__ __forceinline__ float part_of(int block)
    {
        const uint64_t *at = step->words + AT_SUMS + block * 16 + lane % 16;
        uint64_t w;
        uint32_t round = 0;
        do {
            w = load_word(at);
        } while (__any_sync(0xffffffffu, !tagged(w, tag)) && !patience.over(round++, 0, FOR_SUMS));
        return __uint_as_float((uint32_t)w);
    }

    /* What blocks before this one have of its first tile, the nearest first. */
    __device__ __forceinline__ float parts_before(const Piece &p)
    {
        float v = 0;
        for (int block = blockIdx.x, begin = p.begin(); begin > p.tile * DOWN_SLOTS;) {
            const int end = begin;
            begin = down_begin(--block);
            if (begin < end) {
                v += part_of(block);
            }
        }
        return v;
    }

    __device__ __forceinline__ void finish_piece(const Piece &p)
    {
        const float before = p.owned() ? parts_before(p) : 0, v = tile_sum() + before;
        if (lane < 16 && p.owned()) {
            step->out[p.tile * 16 + lane] = v;
        } else if (lane < 16) {
            publish(step->words + AT_SUMS + (int)blockIdx.x * 16 + lane, __float_as_uint(v), tag);
        }
    }

    __device__ void run(void)
    {
        dependency_wait();
        tag = tag_of_step(step);
        patience = {step, tag};
        for (int tile = blockIdx.x; tile < GATE_TILES; tile += gridDim.x) {
            publish_hidden(tile, tile_sum());
        }
        for (int at = range.end; at > range.first;) {
            const Piece p(range, at);
            finish_piece(p);
            at = p.begin();
        }
        if (lane == 0) {
            atomicAdd((unsigned long long *)step->words, 1);
        }
    }
};
