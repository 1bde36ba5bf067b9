/* ---- finisher ---------------------------------------------------------------------------------
 */

/* One warp: lane 4 t + i has rows 4 i .. 4 i + 3 of a tile for token t. */
struct Finisher {
    enum : uint32_t { ALL_ONES = 0xffffffff };
    Shared *s;
    const Step *step;
    Patience patience;
    int lane;
    uint32_t first_tag, tiles;
    float scale; /* 1 / rms of the lane's token */
    ${stamp("Watch watch;")};

    __device__ __forceinline__ int token(void) const
    {
        return lane / 4;
    }

    __device__ __forceinline__ int row(void) const
    {
        return lane % 4 * 4;
    }

    static __device__ __forceinline__ uint2 pairs_of(float4 v)
    {
        return make_uint2(bf16_pair(v.x, v.y), bf16_pair(v.z, v.w));
    }

    /* Of the lane whose rows are 8 before or behind. */
    static __device__ __forceinline__ float4 of_other_half(float4 v)
    {
        return make_float4(
            __shfl_xor_sync(0xffffffffu, v.x, 2), __shfl_xor_sync(0xffffffffu, v.y, 2),
            __shfl_xor_sync(0xffffffffu, v.z, 2), __shfl_xor_sync(0xffffffffu, v.w, 2));
    }

    static __device__ __forceinline__ float4 plus(float4 a, float4 b)
    {
        return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
    }

    //% if has_gain
    /* Of the lane's rows, in the norm of phase P of a layer; the head's for QKV of none. */
    template <int P> __device__ __forceinline__ float4 gain_of(int layer, int tile)
    {
        const uint16_t *gains =
            (const uint16_t *)(step->weights + (size_t)layer * LAYER_BYTES + Stored<P>::GAINS);
        bool there = Stored<P>::GAIN;
        if (P == QKV && layer == LAYERS) {
            there = Stored<HEAD>::GAIN;
            //% if head_gain
            gains = step->final_gain;
            //% end
        }
        if (!there) {
            return make_float4(1, 1, 1, 1);
        }
        const uint2 g = *(const uint2 *)(gains + tile * 16 + row());
        return make_float4(low_of(g.x), high_of(g.x), low_of(g.y), high_of(g.y));
    }

    //% end
    /* A tile's 16 rows of the residual as phase P of `layer` takes them, and the sums of their
     * squares. */
    template <int P> __device__ __forceinline__ void publish_rows(int layer, int tile, float4 v)
    {
        typedef Input<P> I;
        //% if has_gain
        const float4 g = gain_of<P>(layer, tile);
        const float4 x = make_float4(v.x * g.x, v.y * g.y, v.z * g.z, v.w * g.w);
        //% else
        const float4 x = v;
        //% end
        const uint32_t tag = first_tag + layer;
        store_pairs(column_of(step, tag, I::FIRST, token(), tile * 16 + row()), pairs_of(x));
        float squares = v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
        squares += __shfl_xor_sync(0xffffffffu, squares, 1);
        squares += __shfl_xor_sync(0xffffffffu, squares, 2);
        if (lane % 4 == 0) {
            uint64_t *at = step->words + I::SQUARES + tile * TOKENS + token();
            publish(at, __float_as_uint(squares), tag);
        }
    }

    /* Rows 0 to 7 are gate, 8 to 15 up. */
    __device__ __forceinline__ void finish_hidden(int tile, float4 v, uint32_t tag)
    {
        const float4 up = of_other_half(v);
        if (lane % 4 < 2) {
            const float4 h = make_float4(${activation}(v.x) * up.x, ${activation}(v.y) * up.y,
                                         ${activation}(v.z) * up.z, ${activation}(v.w) * up.w);
            store_pairs(column_of(step, tag, H_FIRST, token(), tile * 8 + row()), pairs_of(h));
        }
    }

    /* Rows 0 to 7 of a tile are dims d .. d + 7, rows 8 to 15 those half a head on, which RoPE
     * rotates with them in q and k. k and v are appended to the caches too. */
    __device__ __forceinline__ void finish_qkv(int layer, int tile, float4 v, uint32_t tag)
    {
        enum { PER_HEAD = HEAD_DIM / 16, ROTATED = (HEADS + KV) * PER_HEAD };
        const int head = tile / PER_HEAD, position = s->position[token()];
        const bool upper = row() >= 8;
        const int at = tile % PER_HEAD * 8 + row() % 8, d = upper ? at + HEAD_DIM / 2 : at;
        const float4 other = of_other_half(v);
        if (tile < ROTATED) {
            const float4 c = *(const float4 *)(s->angles[token()] + at);
            float4 sine = *(const float4 *)(s->angles[token()] + HEAD_DIM / 2 + at);
            if (!upper) {
                sine = make_float4(-sine.x, -sine.y, -sine.z, -sine.w);
            }
            v = make_float4(v.x * c.x + other.x * sine.x, v.y * c.y + other.y * sine.y,
                            v.z * c.z + other.z * sine.z, v.w * c.w + other.w * sine.w);
        }
        const uint2 pairs = pairs_of(v);
        uint64_t *words = step->words + AT_Q + token() * QKV_WORDS + (head * HEAD_DIM + d) / 2;
        publish(words, pairs.x, tag);
        publish(words + 1, pairs.y, tag);
        if (head >= HEADS && position >= 0) {
            const int kv = (head - HEADS) % KV;
            uint8_t *cache = s->kv[token()] + (size_t)layer * CACHE_BYTES +
                             (head < HEADS + KV ? AT_KEYS : AT_VALUES);
            *(uint2 *)((uint16_t *)cache + ((size_t)kv * CONTEXT + position) * HEAD_DIM + d) =
                pairs;
        }
    }

    /* The 8 warps' parts of a tile, added in a fixed order. */
    template <int P> __device__ __forceinline__ float4 tile_sum(void)
    {
        const int part = tiles % PARTS;
        wait_for(&s->summed[part], tiles / PARTS & 1);
        ${stamp("watch.start();")};
        float4 v = make_float4(0, 0, 0, 0);
#pragma unroll
        for (int w = 0; w < 8; w++) {
            v = plus(v, *(const float4 *)(s->sums[part][w] + token() * SUM_STRIDE + row()));
        }
        __syncwarp();
        arrive(address_of(&s->taken[part]), lane == 0);
        tiles++;
        if constexpr (Shape<P>::NORM) {
            v = make_float4(v.x * scale, v.y * scale, v.z * scale, v.w * scale);
        }
        return v;
    }

    __device__ __forceinline__ uint64_t *sums_of(int tile, int part)
    {
        return step->words + AT_SUMS + (tile * DOWN_PARTS + part) * 128 + lane * 2;
    }

    __device__ __forceinline__ void publish_sums(int tile, float4 v, uint32_t tag)
    {
        uint64_t *to = sums_of(tile, Shape<DOWN>::part());
        publish(to, __float_as_uint(v.x), tag);
        publish(to + 1, __float_as_uint(v.y), tag);
        publish(to + 64, __float_as_uint(v.z), tag);
        publish(to + 65, __float_as_uint(v.w), tag);
    }

    /* The parts of down of this block's rows, added in a fixed order to the residual. */
    __device__ __forceinline__ void join_sums(int layer, uint32_t tag)
    {
        typedef Shape<O> S;
        enum { AT_ONCE = DOWN_PARTS > 4 ? 1 : 2, PAIRS = 2 * DOWN_PARTS }; /* tiles; words of one */
        int n = 0;
        for (int first = S::first_tile(0); first < S::TILES; first += AT_ONCE * S::stride()) {
            uint64_t w[AT_ONCE * PAIRS][2] = {};
            const bool both = first + S::stride() < S::TILES;
            await_words<AT_ONCE * PAIRS>(
                w,
                [&](int i) {
                    return sums_of(first + i / PAIRS * S::stride(), i % PAIRS / 2) + i % 2 * 64;
                },
                both ? ALL_ONES >> (32 - AT_ONCE * PAIRS) : ALL_ONES >> (32 - PAIRS), tag, patience,
                layer, FOR_SUMS);
#pragma unroll
            for (int k = 0; k < AT_ONCE; k++) {
                if (k == 0 || both) {
                    join_tile(layer, first + k * S::stride(), n++, w + k * PAIRS);
                }
            }
        }
    }

    __device__ __forceinline__ void join_tile(int layer, int tile, int n, const uint64_t w[][2])
    {
        float4 v = s->residual[n][lane];
#pragma unroll
        for (int p = 0; p < DOWN_PARTS; p++) {
            const uint2 low = data_of(w[p * 2]), high = data_of(w[p * 2 + 1]);
            v = plus(v, make_float4(__uint_as_float(low.x), __uint_as_float(low.y),
                                    __uint_as_float(high.x), __uint_as_float(high.y)));
        }
        publish_rows<QKV>(layer + 1, tile, v);
        s->residual[n][lane] = v;
    }

    /* Of the sums of squares that come with the tiles of x; lane 4 n + i adds those of tokens 2 i
     * and 2 i + 1 of every eighth tile. */
    template <int P> __device__ __forceinline__ void take_scale(int layer, uint32_t tag)
    {
        enum { TILES = D_MODEL / 16, AT_ONCE = 8 };
        const uint64_t *words = step->words + Input<P>::SQUARES + lane % 4 * 2;
        float low = 0, high = 0;
        for (int from = lane / 4; from - lane / 4 < TILES; from += 8 * AT_ONCE) {
            uint64_t w[AT_ONCE][2] = {};
            uint32_t wanted = 0;
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) {
                wanted |= (uint32_t)(from + i * 8 < TILES) << i;
            }
            await_words<AT_ONCE>(
                w, [&](int i) { return words + (from + i * 8) * TOKENS; }, wanted, tag, patience,
                layer, P == QKV ? FOR_QKV_X : FOR_O_X + P - O);
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) {
                const uint2 squares = data_of(w[i]);
                low += __uint_as_float(squares.x), high += __uint_as_float(squares.y);
            }
        }
#pragma unroll
        for (int far = 4; far < 32; far *= 2) {
            low += __shfl_xor_sync(0xffffffffu, low, far);
            high += __shfl_xor_sync(0xffffffffu, high, far);
        }
        low = __shfl_sync(0xffffffffu, low, token() / 2);
        high = __shfl_sync(0xffffffffu, high, token() / 2);
        scale = rsqrtf((token() % 2 == 0 ? low : high) / D_MODEL + ${EPS});
    }

    template <int P> __device__ __forceinline__ void phase(int layer, uint32_t tag)
    {
        typedef Shape<P> S;
        int n = 0;
        for (int tile = S::first_tile(layer); tile < S::TILES; tile += S::stride(), n++) {
            if constexpr (S::NORM) {
                if (n == 0) {
                    take_scale<P>(layer, tag);
                }
            }
            float4 v = tile_sum<P>();
            if constexpr (P == QKV) {
                finish_qkv(layer, tile, v, tag);
            } else if constexpr (P == GATE_UP) {
                finish_hidden(tile, v, tag);
            } else if constexpr (P == HEAD) {
                if (token() < step->rows) {
                    *(float4 *)(step->logits + (size_t)token() * VOCAB + tile * 16 + row()) = v;
                }
            } else if constexpr (P == DOWN && DOWN_PARTS > 1) {
                publish_sums(tile, v, tag);
            } else {
                v = plus(v, s->residual[n][lane]);
                publish_rows<P == O ? GATE_UP : QKV>(P == O ? layer : layer + 1, tile, v);
                s->residual[n][lane] = v;
            }
            ${stamp("watch.stop<ON_FINISH>();")};
        }
    }

    /* x of the first layer: this block's rows. */
    __device__ __forceinline__ void begin(void)
    {
        typedef Shape<O> S;
        const int id = s->position[token()] < 0 ? -1 : step->tokens[token()];
        int n = 0;
        for (int tile = S::first_tile(0); tile < S::TILES; tile += S::stride(), n++) {
            const int k = tile * 16 + row();
            const float4 v = make_float4(embedded(step, id, k), embedded(step, id, k + 1),
                                         embedded(step, id, k + 2), embedded(step, id, k + 3));
            publish_rows<QKV>(0, tile, v);
            s->residual[n][lane] = v;
        }
        for (int t = 0; t < TOKENS; t++) {
            make_angles(s->angles[t], step->freqs, s->position[t], lane);
        }
        __syncwarp();
    }

    __device__ void run(void)
    {
        begin();
        for (int layer = 0; layer < LAYERS; layer++) {
            const uint32_t tag = first_tag + layer;
            clear_vectors(step, tag, lane);
            phase<QKV>(layer, tag);
            ${stamp("watch.leave(IN_QKV);")};
            phase<O>(layer, tag);
            ${stamp("watch.leave(IN_O);")};
            phase<GATE_UP>(layer, tag);
            ${stamp("watch.leave(IN_GATE_UP);")};
            phase<DOWN>(layer, tag);
            if constexpr (DOWN_PARTS > 1) {
                join_sums(layer, tag);
            }
            ${stamp("watch.leave(IN_DOWN);")};
        }
        clear_vectors(step, first_tag + LAYERS, lane);
        phase<HEAD>(LAYERS, first_tag + LAYERS);
        ${stamp("watch.leave(IN_HEAD);")};
        ${stamp("watch.tell(step->clocks, lane);")};
        if (blockIdx.x == 0 && lane == 0) {
            step->words[0]++; /* every block has read it: its tiles of the last layer were needed */
        }
    }
};
