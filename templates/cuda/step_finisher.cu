/* ---- finisher ---------------------------------------------------------------------------------
 */

struct Finisher {
    Shared *s;
    const Step *step;
    int lane, position;
    uint32_t first_tag, tiles;
    uint64_t best; /* of this block's logits */
    ${stamp("Watch watch;")};

    /* A tile's 16 values to the copies of a vector; half a warp writes every second one. */
    __device__ __forceinline__ void publish_rows(int place, int tile, float v, uint32_t tag)
    {
        const float next = __shfl_down_sync(0xffffffffu, v, 1);
        uint64_t *at = step->words + place + tile * 8 + lane % 16 / 2;
        if (lane % 2 == 0) {
#pragma unroll
            for (int i = 0; i < COPIES; i += 2) {
                publish(at + (i + lane / 16) * (D_MODEL / 2), bf16_pair(v, next), tag);
            }
        }
    }

    __device__ __forceinline__ void publish_hidden(int tile, float v, uint32_t tag)
    {
        const float next = __shfl_down_sync(0xffffffffu, v, 1);
        if (lane < 8 && lane % 2 == 0) {
            publish(step->words + AT_H + tile * 4 + lane / 2, bf16_pair(v, next), tag);
        }
    }

    /* A pair of a head's values to the copies of q, k and v, by even lanes: half a warp writes
     * every second one. */
    __device__ __forceinline__ void publish_heads(int at, uint32_t pair, uint32_t tag)
    {
        if (lane % 2 == 0) {
#pragma unroll
            for (int i = 0; i < COPIES; i += 2) {
                publish(step->words + AT_Q + (i + lane / 16) * QKV_WORDS + at, pair, tag);
            }
        }
    }

    //% if head_norms
    /* q, k and v as they are: attention norms and rotates heads of q and k when it has all of one.
     * v is appended to its cache. */
    __device__ __forceinline__ void finish_qkv(int layer, int tile, float v, uint32_t tag)
    {
        enum { PER_HEAD = HEAD_DIM / 16 };
        const int kv = tile / PER_HEAD - HEADS - KV, d = tile % PER_HEAD * 16 + lane % 16;
        const float next = __shfl_down_sync(0xffffffffu, v, 1);
        publish_heads(tile * 8 + lane % 16 / 2, bf16_pair(v, next), tag);
        if (lane < 16 && kv >= 0) {
            uint8_t *cache = step->kv[0] + (size_t)layer * CACHE_BYTES + AT_VALUES;
            ((uint16_t *)cache)[((size_t)kv * CONTEXT + position) * HEAD_DIM + d] =
                bf16_of_float(v);
        }
    }

    //% else
    /* Rows 0 to 7 of a tile are dims d .. d + 7, rows 8 to 15 those half a head on, which RoPE
     * rotates with them in q and k. k and v are appended to the caches too. */
    __device__ __forceinline__ void finish_qkv(int layer, int tile, float v, uint32_t tag)
    {
        enum { PER_HEAD = HEAD_DIM / 16, ROTATED = (HEADS + KV) * PER_HEAD };
        const int row = lane % 16, head = tile / PER_HEAD, j = tile % PER_HEAD;
        const float other = __shfl_xor_sync(0xffffffffu, v, 8);
        const int at = j * 8 + row % 8, d = row < 8 ? at : at + HEAD_DIM / 2;
        if (tile < ROTATED) {
            const float c = s->angles[at], sine = s->angles[HEAD_DIM / 2 + at];
            v = row < 8 ? v * c - other * sine : v * c + other * sine;
        }
        const float next = __shfl_down_sync(0xffffffffu, v, 1);
        publish_heads((head * HEAD_DIM + d) / 2, bf16_pair(v, next), tag);
        if (lane < 16 && head >= HEADS) {
            const int kv = (head - HEADS) % KV;
            uint8_t *cache = step->kv[0] + (size_t)layer * CACHE_BYTES +
                             (head < HEADS + KV ? AT_KEYS : AT_VALUES);
            ((uint16_t *)cache)[((size_t)kv * CONTEXT + position) * HEAD_DIM + d] =
                bf16_of_float(v);
        }
    }

    //% end
    //% if has_i8 || has_bias
    /* The row of the matrix that the lane's row of a tile is; of gate or of up. */
    template <int P> __device__ __forceinline__ int row_of(int tile)
    {
        const int row = lane % 16;
        //% if head_norms == false
        if constexpr (P == QKV) {
            enum { PER_HEAD = HEAD_DIM / 16 };
            const int head = tile / PER_HEAD, j = tile % PER_HEAD;
            return head * HEAD_DIM + row / 8 * (HEAD_DIM / 2) + j * 8 + row % 8;
        }
        //% end
        return P == GATE_UP ? tile * 8 + row % 8 : tile * 16 + row;
    }

    //% end
    //% if has_i8
    template <int P> __device__ __forceinline__ float row_scale(int layer, int tile)
    {
        const uint8_t *scales = Shape<P>::scales(step, layer);
        if (P == GATE_UP && lane % 16 >= 8) {
            scales = step->weights + (size_t)layer * LAYER_BYTES + Stored<P>::MORE_SCALES;
        }
        return ((const float *)scales)[row_of<P>(tile)];
    }

    //% end
    //% if has_bias
    template <int P> __device__ __forceinline__ float row_bias(int layer, int tile)
    {
        const bool more = P == GATE_UP && lane % 16 >= 8;
        if (!(more ? Stored<P>::MORE_BIAS : Stored<P>::BIAS)) {
            return 0;
        }
        const uint8_t *biases = step->weights + (size_t)layer * LAYER_BYTES +
                                (more ? Stored<P>::MORE_BIASES : Stored<P>::BIASES);
        return float_of_bf16(((const uint16_t *)biases)[row_of<P>(tile)]);
    }

    //% end
    /* The 8 warps' parts of a tile, added in a fixed order: lane's row is lane % 16. */
    template <int P> __device__ __forceinline__ float tile_sum(int layer, int tile)
    {
        const int part = tiles % PARTS;
        //% if has_i8
        float scale = 1;
        if constexpr (Stored<P>::BITS == 8) { /* on its way while the sums are waited for */
            scale = row_scale<P>(layer, tile);
        }
        //% end
        //% if has_bias
        const float bias = row_bias<P>(layer, tile);
        //% end
        wait_for(&s->summed[part], tiles / PARTS & 1);
        ${stamp("watch.start();")};
        float v = 0;
#pragma unroll
        for (int w = 0; w < 4; w++) {
            v += s->sums[part][w + lane / 16 * 4][lane % 16];
        }
        v += __shfl_xor_sync(0xffffffffu, v, 16);
        if constexpr (Shape<P>::NORM) {
            float sum = 0;
#pragma unroll
            for (int w = 0; w < 8; w++) {
                sum += s->squares[part][w];
            }
            v *= rsqrtf(sum / D_MODEL + ${EPS});
        }
        //% if has_i8
        v *= scale;
        //% end
        //% if has_bias
        v += bias;
        //% end
        return v;
    }

    /* The tile's values were stored, so its sums have been read. */
    __device__ __forceinline__ void next_tile(void)
    {
        __syncwarp();
        arrive(address_of(&s->taken[tiles % PARTS]), lane == 0);
        tiles++;
    }

    template <int P> __device__ __forceinline__ void phase(int layer, uint32_t tag)
    {
        typedef Shape<P> S;
        int n = 0;
        for (int tile = S::first_tile(layer); tile < S::TILES; tile += gridDim.x, n++) {
            float v = tile_sum<P>(layer, tile);
            if constexpr (P == QKV) {
                finish_qkv(layer, tile, v, tag);
            } else if constexpr (P == GATE_UP) {
                const float up = __shfl_xor_sync(0xffffffffu, v, 8);
                publish_hidden(tile, up * ${activation}(v), tag);
            } else if constexpr (P == HEAD) {
                if (lane < 16) {
                    step->logits[tile * 16 + lane] = v;
                    best = better(best, candidate(v, tile * 16 + lane));
                }
            } else {
                v += s->residual[n][lane % 16];
                publish_rows(P == O ? AT_MID : AT_X, tile, v, P == O ? tag : tag + 1);
                __syncwarp();
                if (lane < 16) {
                    s->residual[n][lane] = v;
                }
            }
            next_tile();
            ${stamp("watch.stop<ON_FINISH>();")};
        }
    }

    /* x of the first layer: this block's rows. */
    __device__ __forceinline__ void begin(void)
    {
        typedef Shape<O> S;
        //% if inside
        const int token = step->tokens[0];
        //% end
        int n = 0;
        for (int tile = S::first_tile(0); tile < S::TILES; tile += gridDim.x, n++) {
            //% if inside
            const float v = embedded(step, token, tile * 16 + lane % 16);
            //% else
            const float v = step->x[tile * 16 + lane % 16];
            //% end
            publish_rows(AT_X, tile, v, first_tag);
            if (lane < 16) {
                s->residual[n][lane] = v;
            }
        }
        //% if head_norms == false
        take_angles(s->angles, step, position, lane);
        //% end
        __syncwarp();
    }

    __device__ void run(void)
    {
        begin();
        for (int layer = 0; layer < LAYERS; layer++) {
            const uint32_t tag = first_tag + layer;
            phase<QKV>(layer, tag);
            ${stamp("watch.leave(IN_QKV);")};
            phase<O>(layer, tag);
            ${stamp("watch.leave(IN_O);")};
            phase<GATE_UP>(layer, tag);
            ${stamp("watch.leave(IN_GATE_UP);")};
            phase<DOWN>(layer, tag);
            ${stamp("watch.leave(IN_DOWN);")};
        }
        phase<HEAD>(LAYERS, first_tag + LAYERS);
        ${stamp("watch.leave(IN_HEAD);")};
        ${stamp("watch.tell(step->clocks, lane);")};
        if (step->drawn != nullptr) {
            draw_likeliest(step, best, position, lane, first_tag + LAYERS);
        }
        if (blockIdx.x == 0 && lane == 0) {
            step->words[0]++; /* every block has read it: its tiles of the last layer were needed */
        }
    }
};
