//# prelude_rows.c - rows of numbers: norms and codes of a row, attention's softmax and small products,
//# RoPE.
//% if used("sum_of_squares")
static inline float sum_of_squares(const float *x, int64_t n)
{
    VecF sum = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        const VecF v = vec_load_n(x + i, n - i);
        sum = vec_fma(v, v, sum);
    }
    return vec_sum(sum);
}

//% end
//% if used("sum_of")
static inline float sum_of(const float *x, int64_t n)
{
    VecF sum = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        sum += vec_load_n(x + i, n - i);
    }
    return vec_sum(sum);
}

//% end
//% if used("largest_of")
/* max |x[i]| */
static inline float largest_of(const float *x, int64_t n)
{
    VecF max = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        max = vec_max(max, vec_abs(vec_load_n(x + i, n - i)));
    }
    return vec_largest(max);
}

//% end
//% if used("vec_store_i8_n")
/* The low bytes of the first n lanes. */
static inline void vec_store_i8_n(int8_t *p, VecI v, int64_t n)
{
    const VecB b = __builtin_convertvector(v, VecB);
    if (n >= LANES) {
        memcpy(p, &b, sizeof b);
        return;
    }
    memcpy(p, &b, (size_t)n);
}

//% end
//% if used("quantize_row")
/* code = x / scale to the nearest integer, ties to even; returns scale = max |x| / 127. */
static inline float quantize_row(int8_t *code, const float *x, int64_t n)
{
    const float scale = largest_of(x, n) / 127;
    const VecF by = vec_splat(scale > 0 ? scale : 1);
    for (int64_t i = 0; i < n; i += LANES) {
        /* Adding 1.5 * 2^23 leaves the rounded integer in the low bits. */
        const VecF shifted = vec_load_n(x + i, n - i) / by + 0x1.8p23f;
        vec_store_i8_n(code + i, (VecI)shifted - 0x4b400000, n - i);
    }
    return scale;
}

//% end
//% if used("quantize_row_e4m3")
/* code = x / scale to the nearest number of e4m3, ties to even, as a float; returns scale = max |x|
 * / 448. */
static inline float quantize_row_e4m3(float *code, const float *x, int64_t n)
{
    const float scale = largest_of(x, n) / 448;
    const VecF by = vec_splat(scale > 0 ? scale : 1);
    for (int64_t i = 0; i < n; i += LANES) {
        const VecF v = vec_load_n(x + i, n - i) / by;
        const VecI bits = (VecI)v & 0x7fffffff, sign = (VecI)v & (int32_t)0x80000000;
        const VecI normal = (bits + 0x7ffff + ((bits >> 20) & 1)) & -0x100000;
        /* Subnormal: the addition rounds at the right bit. */
        const VecF small = ((VecF)bits + 0x1p14f) - 0x1p14f;
        const VecF rounded = vec_select((VecF)bits < 0x1p-6f, small, (VecF)normal);
        vec_store_n(code + i, (VecF)((VecI)vec_min(rounded, vec_splat(448)) | sign), n - i);
    }
    return scale;
}

//% end
//% if used("split_row")
/* x = unit * (128 * high + low) to the nearest, ties to even, with |high| <= 127 and low in
 * -64..63. Returns unit = max |x| / 16256. */
static inline float split_row(int8_t *high, int8_t *low, const float *x, int64_t n)
{
    const float unit = largest_of(x, n) / 16256, factor = unit > 0 ? 1 / unit : 0;
    for (int64_t i = 0; i < n; i += LANES) {
        /* Adding 1.5 * 2^23 leaves the rounded integer in the low bits. */
        const VecF shifted =
            vec_fma(vec_load_n(x + i, n - i), vec_splat(factor), vec_splat(0x1.8p23f));
        const VecI code = (VecI)shifted - 0x4b400000, rounded = (code + 64) >> 7;
        vec_store_i8_n(high + i, rounded, n - i);
        vec_store_i8_n(low + i, code - rounded * 128, n - i);
    }
    return unit;
}

//% end
//% if used("sum_of_planes")
/* The sum of 128 * high[i] + low[i]. */
static inline int32_t sum_of_planes(const int8_t *high, const int8_t *low, int64_t n)
{
    VecI sums = {0};
    int32_t sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        sums += veci_load_i8(high + i) * 128 + veci_load_i8(low + i);
    }
    for (; i < n; i++) {
        sum += 128 * high[i] + low[i];
    }
    return sum + veci_sum(sums);
}

//% end
//% if used("sum_of_codes")
static inline int32_t sum_of_codes(const int8_t *code, int64_t n)
{
    VecI sums = {0};
    int32_t sum = 0;
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        //% if vnni
        sums = vec_dot_u8s8(sums, veci_splat(0x01010101), veci_load(code + i));
        //% else
        sums = vec_dot_s8s8(sums, veci_splat(0x01010101), veci_load(code + i));
        //% end
    }
    for (; i + LANES <= n; i += LANES) {
        sums += veci_load_i8(code + i);
    }
    for (; i < n; i++) {
        sum += code[i];
    }
    return sum + veci_sum(sums);
}

//% end
//% if used("fetch")
/* Asks for memory that is read soon. */
static inline void fetch(const void *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) {
        __builtin_prefetch((const char *)p + i);
    }
}

//% end
//% if used("barrier_before")
/* Waits for the other threads. Before, a thread asks for what it reads first of the next matmul's
 * weights, which are shared out in units: they are on their way while it waits. */
static void barrier_before(const SinterRun *run, const uint8_t *w, int64_t units,
                           int64_t unit_bytes, int thread)
{
    fetch(w + slice_of(units, thread, run->threads).begin * unit_bytes, ${AHEAD});
    sinter_barrier(run->barrier, thread);
}

//% end
//% if used("HIDDEN")
/* The score of a position that takes no part, and a maximum of none. */
#define HIDDEN -0x1p126f

//% end
//% if used("cap_scores")
/* cap * tanh(score) for n scores; whole vectors are written. */
static inline void cap_scores(float *score, int64_t n, float cap)
{
    for (int64_t i = 0; i < n; i += LANES) {
        vec_store(score + i, vec_tanh(vec_load(score + i)) * cap);
    }
}

//% end
//% if used("hide_scores")
/* All of n scores but those from `first` to `end` - 1. */
static inline void hide_scores(float *score, int64_t n, int64_t first, int64_t end)
{
    for (int64_t i = 0; i < n && i < first; i++) {
        score[i] = HIDDEN;
    }
    for (int64_t i = end < 0 ? 0 : end; i < n; i++) {
        score[i] = HIDDEN;
    }
}

//% end
//% if used("soften")
/* n scores become weights e^(score - max), whole vectors are written; `max` and `total`, the sum of
 * the weights, go on from earlier scores. Returns what weights of the earlier maximum are worth. */
static inline float soften(float *score, int64_t n, float *max, float *total)
{
    const VecF hidden = vec_splat(HIDDEN);
    for (int64_t i = n; i % LANES != 0; i++) {
        score[i] = HIDDEN;
    }
    VecF most = vec_splat(*max), added = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        most = vec_max(most, vec_load(score + i));
    }
    const float new_max = vec_largest(most);
    for (int64_t i = 0; i < n; i += LANES) {
        const VecF s = vec_load(score + i);
        const VecF e = vec_select(s > hidden, vec_exp(s - new_max), (VecF){0});
        vec_store(score + i, e);
        added += e;
    }
    const float shrink = vec_exp(vec_splat(*max - new_max))[0];
    *total = *total * shrink + vec_sum(added);
    *max = new_max;
    return shrink;
}

//% end
//% if used("multiply_add")
/* c[4][${VECTORS} vectors] += a[4][n] . b[n][${VECTORS} vectors]; rows lie `..._row` elements
 * apart. */
static void multiply_add(float *c, int64_t c_row, const float *a, int64_t a_row, const float *b,
                         int64_t b_row, int64_t n)
{
    //% for r in 0..4
    //% for j in 0..VECTORS
    VecF c${id(r, j)} = vec_load(c + ${r} * c_row + ${j} * LANES);
    //% end
    //% end
    for (int64_t k = 0; k < n; k++) {
        //% for j in 0..VECTORS
        const VecF b${j} = vec_load(b + k * b_row + ${j} * LANES);
        //% end
        //% for r in 0..4
        const VecF a${r} = vec_splat(a[${r} * a_row + k]);
        //% for j in 0..VECTORS
        c${id(r, j)} = vec_fma(a${r}, b${j}, c${id(r, j)});
        //% end
        //% end
    }
    //% for r in 0..4
    //% for j in 0..VECTORS
    vec_store(c + ${r} * c_row + ${j} * LANES, c${id(r, j)});
    //% end
    //% end
}

//% end
//% for s in 0..STAGES
//% if used("vec_lower_" + string(run(s)))
/* Of each two runs of ${run(s)} lanes the lower: a's, then b's. */
static inline VecF vec_lower_${run(s)}(VecF a, VecF b)
{
    return VEC_SHUFFLE(a, b, ${runs(s, 0)});
}

//% end
//% if used("vec_upper_" + string(run(s)))
/* Of each two runs of ${run(s)} lanes the upper: a's, then b's. */
static inline VecF vec_upper_${run(s)}(VecF a, VecF b)
{
    return VEC_SHUFFLE(a, b, ${runs(s, 1)});
}

//% end
//% end
//% if used("transpose")
/* to[j][i] = from[i][j] for LANES x LANES floats: runs of 1, 2, 4 ... lanes of two rows change
 * places. */
static void transpose(float *to, int64_t to_row, const float *from, int64_t from_row)
{
    //% for i in 0..LANES
    const VecF r${id(0, i)} = vec_load(from + ${i} * from_row);
    //% end
    //% for s in 0..STAGES
    //% for i in 0..LANES
    //% if floor(i / run(s)) % 2 == 0
    const VecF r${id(s + 1, i)} = vec_lower_${run(s)}(r${id(s, i)}, r${id(s, i + run(s))});
    //% else
    const VecF r${id(s + 1, i)} = vec_upper_${run(s)}(r${id(s, i - run(s))}, r${id(s, i)});
    //% end
    //% end
    //% end
    //% for i in 0..LANES
    vec_store(to + ${i} * to_row, r${id(STAGES, i)});
    //% end
}

//% end
//% if used("head_of_share")
/* The head that stands at `i` of all threads' shares: of q, then k, then v. Where key/value heads
 * divide evenly among threads a share has the k, the v and the q of some of them. */
static inline int64_t head_of_share(int64_t i, int heads, int kv_heads, int thread, int threads)
{
    if (kv_heads % threads != 0) {
        return i;
    }
    const int64_t own = kv_heads / threads, first = thread * own, group = heads / kv_heads;
    const int64_t at = i - first * (group + 2);
    return at < own * group         ? first * group + at
           : at < own * (group + 1) ? heads + first + at - own * group
                                    : heads + kv_heads + first + at - own * (group + 1);
}

//% end
//% if used("rotate_half")
/* RoPE of one head: pairs (i, i + n / 2); angles: n / 2 cosines, then as many sines. */
static inline void rotate_half(float *x, const float *angles, int n)
{
    for (int i = 0; i < n / 2; i++) {
        const float c = angles[i], s = angles[n / 2 + i], a = x[i], b = x[n / 2 + i];
        x[i] = a * c - b * s;
        x[n / 2 + i] = b * c + a * s;
    }
}

//% end
//% if used("rotate_adjacent")
/* RoPE of one head: pairs (2i, 2i + 1); angles: n / 2 cosines, then as many sines. */
static inline void rotate_adjacent(float *x, const float *angles, int n)
{
    for (int i = 0; i < n / 2; i++) {
        const float c = angles[i], s = angles[n / 2 + i], a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * c - b * s;
        x[2 * i + 1] = b * c + a * s;
    }
}

//% end
//% if used("lap")
/* Adds the time since *clock to a step's profile and starts the next. */
static void lap(const SinterRun *run, int thread, int step, uint64_t *clock)
{
    if (run->profile != NULL && thread == 0) {
        const uint64_t now = sinter_now_ns();
        run->profile[step] += now - *clock;
        *clock = now;
    }
}

//% end
