//# sample.cu - the next id of each row from its logits: greedy, temperature, top-k, top-p, with the
//# arithmetic of runtime/sampler.c and so to the same id. SAMPLE_BLOCKS blocks share a row.
typedef unsigned long long Weight; /* probabilities in units of 2^-44 of the likeliest one's */

enum {
    SAMPLE_VOCAB = ${VOCAB},
    SAMPLE_BLOCKS = 16,
    SAMPLE_THREADS = 1024,
    SAMPLE_SLICE = (SAMPLE_VOCAB + SAMPLE_BLOCKS - 1) / SAMPLE_BLOCKS, /* ids of a block */
    SAMPLE_CHUNK = (SAMPLE_SLICE + SAMPLE_THREADS - 1) / SAMPLE_THREADS,
    SAMPLE_PASSES = 8, /* digits of a logit, for top-k and for top-p */
    SAMPLE_BINS = 256
};

/* What the blocks of a row tell each other. */
struct SampleWork {
    Weight arrived; /* blocks, ever: a multiple of SAMPLE_BLOCKS between launches */
    Weight pad[15];
    Weight best[SAMPLE_BLOCKS], above[SAMPLE_BLOCKS], tied[SAMPLE_BLOCKS];
    Weight bin[SAMPLE_PASSES][SAMPLE_BLOCKS][SAMPLE_BINS];
};

/* The ids that are kept: keys above `key`, and of the equal ones the first `ties`. */
struct SampleCut {
    uint32_t key;
    Weight ties;
};

/* One block's part of a row. */
struct SampleRow {
    const float *logits;
    SampleWork *work;
    int first, end;      /* ids of this block */
    double max, inverse; /* of the temperature */
};

__device__ inline float sample_logit(uint32_t key)
{
    return __uint_as_float(key >> 31 ? key & 0x7fffffff : ~key);
}

__device__ inline uint32_t key_at(const SampleRow &row, int id)
{
    return id < row.end ? sample_key(__ldcg(&row.logits[id])) : 0;
}

/* exp((logit - max) / temperature), see weight_of in runtime/sampler.c. */
__device__ inline Weight sample_weight(const SampleRow &row, uint32_t key)
{
    const double factor[13] = {1.0 / 479001600,
                               1.0 / 39916800,
                               1.0 / 3628800,
                               1.0 / 362880,
                               1.0 / 40320,
                               1.0 / 5040,
                               1.0 / 720,
                               1.0 / 120,
                               1.0 / 24,
                               1.0 / 6,
                               1.0 / 2,
                               1.0,
                               1.0};
    const double scaled = ((double)sample_logit(key) - row.max) * row.inverse;
    const double x = fmax(scaled, -33.0); /* no branches: the terms of several ids interleave */
    const double n = floor(__dadd_rn(__dmul_rn(x, 1.4426950408889634), 0.5));
    const double r = __dadd_rn(x, -__dmul_rn(n, 0.69314718055994531));
    double sum = factor[0];
#pragma unroll
    for (int i = 1; i < 13; i++) {
        sum = __dadd_rn(__dmul_rn(sum, r), factor[i]);
    }
    const Weight weight = (Weight)(sum * 4503599627370496.0) >> (8 - (int)n);
    return key > 0 && x >= -32 ? weight : 0;
}

/* The next number of the row's sequence, [0, 1): runtime/random.h. */
__device__ inline double sample_unit(uint64_t state)
{
    uint64_t x = state + 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    x ^= x >> 31;
    return (double)(x >> 11) * 1.1102230246251565e-16;
}

/* This block has said what it has to say: how many blocks ever have, this one counted. */
__device__ inline Weight row_arrive(SampleWork *work)
{
    __shared__ Weight number;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        number = atomicAdd(&work->arrived, 1) + 1;
    }
    __syncthreads();
    return number;
}

/* Until the row's blocks are all here. They are few enough to run at once; should one be missing
 * for seconds, the program ends with an error. */
__device__ inline void row_barrier(SampleWork *work)
{
    const Weight number = row_arrive(work);
    const Weight all = (number + SAMPLE_BLOCKS - 1) / SAMPLE_BLOCKS * SAMPLE_BLOCKS;
    if (threadIdx.x == 0) {
        const long long start = clock64();
        while (*(volatile Weight *)&work->arrived < all) {
            if (clock64() - start > 10000000000) {
                __trap();
            }
        }
        __threadfence();
    }
    __syncthreads();
}

/* The sum of x over the threads before this one; *total over all. */
__device__ inline Weight sum_before(Weight x, Weight *total)
{
    __shared__ Weight part[SAMPLE_THREADS / 32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Weight sum = x;
    for (int step = 1; step < 32; step *= 2) {
        const Weight other = __shfl_up_sync(0xffffffff, sum, step);
        sum += lane >= step ? other : 0;
    }
    __syncthreads();
    if (lane == 31) {
        part[warp] = sum;
    }
    __syncthreads();
    Weight before = 0, all = 0;
    for (int i = 0; i < SAMPLE_THREADS / 32; i++) {
        before += i < warp ? part[i] : 0;
        all += part[i];
    }
    *total = all;
    return before + sum - x;
}

/* The largest of a block's values "key, complement of the id". */
__device__ inline Weight largest_of_block(Weight x)
{
    __shared__ Weight part[SAMPLE_THREADS / 32];
    for (int step = 16; step > 0; step /= 2) {
        const Weight other = __shfl_xor_sync(0xffffffff, x, step);
        x = other > x ? other : x;
    }
    if (threadIdx.x % 32 == 0) {
        part[threadIdx.x / 32] = x;
    }
    __syncthreads();
    for (int i = 0; i < SAMPLE_THREADS / 32; i++) {
        x = part[i] > x ? part[i] : x;
    }
    return x;
}

/* Adds each lane's weight to the bin of its digit, in thirds of 16 bits, whose sums over a slice
 * fit 32. */
__device__ inline void add_to_bins(uint32_t (*bin)[3], bool active, int digit, Weight weight)
{
    for (int i = 0; active && i < 3; i++) {
        const uint32_t third = (uint32_t)(weight >> 16 * i) & 0xffff;
        if (third != 0) {
            atomicAdd(&bin[digit][i], third);
        }
    }
}

/* The same where few digits occur: lanes with the same one first agree on a sum. */
__device__ inline void add_sums_to_bins(uint32_t (*bin)[3], bool active, int digit, Weight weight)
{
    for (uint32_t left = __ballot_sync(0xffffffff, active); left != 0;) {
        const int leader = __ffs((int)left) - 1;
        const int first = __shfl_sync(0xffffffff, digit, leader);
        const bool mine = active && digit == first;
        left &= ~__ballot_sync(0xffffffff, mine);
#pragma unroll
        for (int i = 0; i < 3; i++) {
            const uint32_t third = mine ? (uint32_t)(weight >> 16 * i) & 0xffff : 0;
            const uint32_t sum = __reduce_add_sync(0xffffffff, third);
            if ((int)(threadIdx.x % 32) == leader) {
                atomicAdd(&bin[digit][i], sum);
            }
        }
    }
}

/* bin[i]: the sum of x over the threads from i on, of the first SAMPLE_BINS. */
__device__ inline void sum_behind(Weight *bin, Weight x)
{
    __shared__ Weight part[SAMPLE_BINS / 32];
    const int i = threadIdx.x, lane = i % 32, warp = i / 32;
    for (int step = 1; step < 32; step *= 2) {
        const Weight other = __shfl_down_sync(0xffffffff, x, step);
        x += lane + step < 32 ? other : 0;
    }
    if (i < SAMPLE_BINS && lane == 0) {
        part[warp] = x;
    }
    __syncthreads();
    for (int w = warp + 1; w < SAMPLE_BINS / 32; w++) {
        x += part[w];
    }
    if (i < SAMPLE_BINS) {
        bin[i] = x;
    }
    __syncthreads();
}

/* Sums over the block's slice by the digit at `shift`, of the keys within `cut` that begin like
 * `prefix`. */
__device__ inline void count_slice(const SampleRow &row, Weight *bin, bool counted, int shift,
                                   uint32_t higher, uint32_t prefix, SampleCut cut)
{
    __shared__ uint32_t local[SAMPLE_BINS][3];
    const int i = threadIdx.x;
    if (i < SAMPLE_BINS) {
        local[i][0] = local[i][1] = local[i][2] = 0;
    }
    __syncthreads();
    for (int at = row.first; at < row.first + SAMPLE_SLICE; at += SAMPLE_THREADS) {
        const uint32_t key = key_at(row, at + i);
        const bool active = key > cut.key && (key & higher) == prefix;
        const Weight weight = counted ? 1 : active ? sample_weight(row, key) : 0;
        if (shift == 24) { /* sign and most of the exponent */
            add_sums_to_bins(local, active, key >> 24, weight);
        } else {
            add_to_bins(local, active, key >> shift & 255, weight);
        }
    }
    __syncthreads();
    if (i < SAMPLE_BINS) {
        bin[i] = local[i][0] + ((Weight)local[i][1] << 16) + ((Weight)local[i][2] << 32);
    }
}

/* The same over the row's blocks; in bin[i] over the digits from i on. */
__device__ inline void fill_bins(const SampleRow &row, Weight *bin, int pass, bool counted,
                                 int shift, uint32_t prefix, SampleCut cut)
{
    const uint32_t higher = shift == 24 ? 0 : 0xffffffff << (shift + 8);
    const int i = threadIdx.x;
    count_slice(row, row.work->bin[pass][blockIdx.x], counted, shift, higher, prefix, cut);
    row_barrier(row.work);
    Weight sum = 0;
    for (int b = 0; i < SAMPLE_BINS && b < SAMPLE_BLOCKS; b++) {
        sum += __ldcg(&row.work->bin[pass][b][i]);
    }
    if (cut.ties > 0 && (cut.key & higher) == prefix && (int)(cut.key >> shift & 255) == i) {
        sum += cut.ties * sample_weight(row, cut.key);
    }
    sum_behind(bin, sum);
}

/* The largest digit from which on the bins come to `want`. */
__device__ inline int last_digit(const Weight *bin, Weight want)
{
    __shared__ int digit;
    const int i = threadIdx.x;
    if (i < SAMPLE_BINS && bin[i] >= want && (i == SAMPLE_BINS - 1 || bin[i + 1] < want)) {
        digit = i;
    }
    __syncthreads();
    return digit;
}

/* Narrows the cut to the largest that come to `want` in number, or to the part `share` in weight.
 * The bits of the last key are found eight at a time. */
__device__ inline SampleCut select_largest(const SampleRow &row, int pass, bool counted,
                                           Weight want, double share, SampleCut cut)
{
    __shared__ Weight bin[SAMPLE_BINS];
    uint32_t prefix = 0;
    for (int shift = 24; shift >= 0; shift -= 8, pass++) {
        fill_bins(row, bin, pass, counted, shift, prefix, cut);
        if (shift == 24 && counted && want >= bin[0]) {
            return cut;
        }
        if (shift == 24 && !counted) {
            want = (Weight)(share * (double)bin[0]);
            want = want > 0 ? want : 1;
        }
        const int digit = last_digit(bin, want);
        prefix |= (uint32_t)digit << shift;
        want -= digit + 1 < SAMPLE_BINS ? bin[digit + 1] : 0;
    }
    const Weight each = counted ? 1 : sample_weight(row, prefix);
    return {prefix, (want + each - 1) / each};
}

/* The ids of one thread, side by side. */
struct SampleChunk {
    int first;
    Weight above, tied; /* weights of those above the cut; how many are tied at it */
};

__device__ inline SampleChunk weigh_chunk(const SampleRow &row, SampleCut cut)
{
    SampleChunk c = {row.first + (int)threadIdx.x * SAMPLE_CHUNK, 0, 0};
#pragma unroll
    for (int i = 0; i < SAMPLE_CHUNK; i++) {
        const uint32_t key = key_at(row, c.first + i);
        const Weight weight = sample_weight(row, key);
        c.above += key > cut.key ? weight : 0;
        c.tied += key == cut.key && cut.ties > 0;
    }
    return c;
}

/* Of `tied` ids behind `before` others, those that are kept. */
__device__ inline Weight kept(SampleCut cut, Weight before, Weight tied)
{
    const Weight left = cut.ties > before ? cut.ties - before : 0;
    return left < tied ? left : tied;
}

/* The thread that finds the id at `at` among the kept ones, by id, returns it, the others -1.
 * `tied`: ids tied at the cut in the blocks before. */
__device__ inline int find_id(const SampleRow &row, SampleCut cut, SampleChunk c, Weight at,
                              Weight tied)
{
    const Weight equal = sample_weight(row, cut.key);
    Weight all;
    tied += sum_before(c.tied, &all);
    const Weight part = c.above + kept(cut, tied, c.tied) * equal;
    const Weight before = sum_before(part, &all);
    if (at < before || at - before >= part) {
        return -1;
    }
    at -= before;
    for (int id = c.first;; id++) {
        const uint32_t key = key_at(row, id);
        const bool tie = key == cut.key && cut.ties > 0;
        const Weight weight = key > cut.key                   ? sample_weight(row, key)
                              : tie && kept(cut, tied, 1) > 0 ? equal
                                                              : 0;
        tied += tie;
        if (at < weight) {
            return id;
        }
        at -= weight;
    }
}

/* The id at `unit` of the way through the kept ones; -1 in all threads but one. */
__device__ inline int draw_id(const SampleRow &row, SampleCut cut, double unit)
{
    Weight tied, above, ties_before = 0, before = 0, all = 0, here = 0;
    const SampleChunk chunk = weigh_chunk(row, cut);
    sum_before(chunk.above, &above);
    sum_before(chunk.tied, &tied);
    if (threadIdx.x == 0) {
        row.work->above[blockIdx.x] = above;
        row.work->tied[blockIdx.x] = tied;
    }
    row_barrier(row.work);
    const Weight equal = sample_weight(row, cut.key);
    Weight tied_so_far = 0;
    for (int b = 0; b < SAMPLE_BLOCKS; b++) {
        const Weight n = __ldcg(&row.work->tied[b]);
        const Weight part = __ldcg(&row.work->above[b]) + kept(cut, tied_so_far, n) * equal;
        if (b == (int)blockIdx.x) {
            before = all;
            here = part;
            ties_before = tied_so_far;
        }
        tied_so_far += n;
        all += part;
    }
    Weight at = (Weight)(unit * (double)all);
    at = at < all ? at : all - 1;
    return at >= before && at - before < here ? find_id(row, cut, chunk, at - before, ties_before)
                                              : -1;
}

/* The largest logit of the row, the first of equals, when all blocks have said theirs: "key,
 * complement of the id"; 0: none is a number. */
__device__ inline Weight best_of_row(const SampleWork *work)
{
    Weight best = 0;
    for (int b = 0; b < SAMPLE_BLOCKS; b++) {
        const Weight x = __ldcg(&work->best[b]);
        best = x > best ? x : best;
    }
    return best;
}

__device__ inline Weight best_of_slice(const SampleRow &row)
{
    Weight best = 0;
    for (int id = row.first + threadIdx.x; id < row.end; id += SAMPLE_THREADS) {
        const Weight key = key_at(row, id), x = key << 32 | (uint32_t)~id;
        best = key > 0 && x > best ? x : best;
    }
    return largest_of_block(best);
}

/* True in the one thread of the row that has the id. The likeliest needs no barrier: the last block
 * to come knows it. */
__device__ inline bool next_id(SampleRow row, const SinterSample &sample, int32_t *id)
{
    const bool greedy = !(sample.temperature > 0) || sample.top_k == 1;
    bool mine = threadIdx.x == 0;
    if (greedy) {
        mine = row_arrive(row.work) % SAMPLE_BLOCKS == 0 && mine;
        __threadfence();
    } else {
        row_barrier(row.work);
    }
    const Weight best = greedy && !mine ? 0 : best_of_row(row.work);
    const uint32_t key = (uint32_t)(best >> 32);
    *id = best > 0 ? (int32_t) ~(uint32_t)best : -1;
    if (greedy || best == 0 || key == sample_key(__uint_as_float(0x7f800000))) { /* infinity */
        return mine && (greedy || blockIdx.x == 0);
    }
    SampleCut cut = {0, 0};
    row.max = sample_logit(key);
    row.inverse = 1 / (double)sample.temperature;
    if (sample.top_k > 0) {
        cut = select_largest(row, 0, true, sample.top_k, 0, cut);
    }
    if (sample.top_p < 1) {
        cut = select_largest(row, 4, false, 0, sample.top_p > 0 ? sample.top_p : 0, cut);
    }
    *id = draw_id(row, cut, sample_unit(sample.seed));
    return *id >= 0;
}

${launch("16", "rows", 1024)};
void ${name}(${params})
{
    dependency_wait();
    const int r = blockIdx.y;
    const SinterSample sample = state[r];
    SampleRow row = {logits + (int64_t)r * SAMPLE_VOCAB, (SampleWork *)work + r};
    row.first = blockIdx.x * SAMPLE_SLICE;
    row.end = row.first + SAMPLE_SLICE < SAMPLE_VOCAB ? row.first + SAMPLE_SLICE : SAMPLE_VOCAB;
    if (pos[r] < 0) {
        return;
    }
    const Weight best = best_of_slice(row);
    if (threadIdx.x == 0) {
        row.work->best[blockIdx.x] = best;
    }
    int32_t id;
    if (next_id(row, sample, &id)) {
        tokens[r] = id;
        pos[r]++;
        ring[sample.count % ${RING} * ${BATCH} + r] = id;
        state[r].seed = sample.seed + 0x9e3779b97f4a7c15;
        state[r].count = sample.count + 1;
    }
}
