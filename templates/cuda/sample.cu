//# sample.cu - the next id of each row from its logits: greedy, temperature, top-k, top-p, with the
//# arithmetic of runtime/sampler.c and so to the same id. SAMPLE_BLOCKS blocks share a row.
typedef unsigned long long Weight; /* probabilities in units of 2^-44 of the likeliest one's */

/* Of a row, as in model.h. */
struct SinterSample {
    uint64_t seed;
    float temperature;
    int32_t top_k;
    float top_p;
    uint32_t count; /* ids drawn so far */
};

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
    int first, end; /* ids of this block */
    double max, temperature;
};

/* Larger logits have larger keys; 0 is not a number. */
__device__ inline uint32_t sample_key(float logit)
{
    if (!(logit > __uint_as_float(0xff800000))) {
        return 0;
    }
    const uint32_t bits = __float_as_uint(logit + 0.0f); /* -0 is 0 */
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

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
    const double x = ((double)sample_logit(key) - row.max) / row.temperature;
    if (key == 0 || x < -32) {
        return 0;
    }
    const double n = floor(__dadd_rn(__dmul_rn(x, 1.4426950408889634), 0.5));
    const double r = __dadd_rn(x, -__dmul_rn(n, 0.69314718055994531));
    double sum = factor[0];
#pragma unroll
    for (int i = 1; i < 13; i++) {
        sum = __dadd_rn(__dmul_rn(sum, r), factor[i]);
    }
    return (Weight)(sum * 4503599627370496.0) >> (8 - (int)n);
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

/* This block has said what it has to say; true in all threads of the row's last one. */
__device__ inline bool row_arrive(SampleWork *work, Weight *all)
{
    __shared__ Weight number;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        number = atomicAdd(&work->arrived, 1);
        __threadfence();
    }
    __syncthreads();
    *all = (number / SAMPLE_BLOCKS + 1) * SAMPLE_BLOCKS;
    return number % SAMPLE_BLOCKS == SAMPLE_BLOCKS - 1;
}

/* Until the row's blocks are all here. They are few enough to run at once; should one be missing
 * for seconds, the program ends with an error. */
__device__ inline void row_barrier(SampleWork *work)
{
    Weight all;
    row_arrive(work, &all);
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

/* The largest of a block's or a row's values "key, complement of the id". */
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
    if (i < SAMPLE_BINS) {
        Weight sum = 0;
        for (int b = 0; b < SAMPLE_BLOCKS; b++) {
            sum += __ldcg(&row.work->bin[pass][b][i]);
        }
        if (cut.ties > 0 && (cut.key & higher) == prefix && (int)(cut.key >> shift & 255) == i) {
            sum += cut.ties * sample_weight(row, cut.key);
        }
        bin[i] = sum;
    }
    for (int step = 1; step < SAMPLE_BINS; step *= 2) {
        __syncthreads();
        const Weight more = i + step < SAMPLE_BINS ? bin[i + step] : 0;
        __syncthreads();
        if (i < SAMPLE_BINS) {
            bin[i] += more;
        }
    }
    __syncthreads();
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

/* The weights of `n` ids from `id` on, and how many of them are tied at the cut. */
__device__ inline Weight weigh(const SampleRow &row, int id, int n, SampleCut cut, Weight *tied)
{
    Weight sum = 0;
    for (int i = 0; i < n; i++) {
        const uint32_t key = key_at(row, id + i);
        sum += key > cut.key ? sample_weight(row, key) : 0;
        *tied += key == cut.key && cut.ties > 0;
    }
    return sum;
}

/* Of `tied` ids behind `before` others, those that are kept. */
__device__ inline Weight kept(SampleCut cut, Weight before, Weight tied)
{
    const Weight left = cut.ties > before ? cut.ties - before : 0;
    return left < tied ? left : tied;
}

/* The thread that finds the id at `at` among the kept ones, by id, returns it, the others -1.
 * `tied`: ids tied at the cut in the blocks before. */
__device__ inline int find_id(const SampleRow &row, SampleCut cut, Weight at, Weight tied)
{
    const int first = row.first + threadIdx.x * SAMPLE_CHUNK;
    const Weight equal = sample_weight(row, cut.key);
    Weight mine = 0, all;
    const Weight sum = weigh(row, first, SAMPLE_CHUNK, cut, &mine);
    tied += sum_before(mine, &all);
    const Weight part = sum + kept(cut, tied, mine) * equal, before = sum_before(part, &all);
    if (at < before || at - before >= part) {
        return -1;
    }
    at -= before;
    for (int id = first;; id++) {
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
    Weight mine = 0, tied, above, ties_before = 0, before = 0, all = 0, here = 0;
    const Weight sum = weigh(row, row.first + threadIdx.x * SAMPLE_CHUNK, SAMPLE_CHUNK, cut, &mine);
    sum_before(sum, &above);
    sum_before(mine, &tied);
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
    return at >= before && at - before < here ? find_id(row, cut, at - before, ties_before) : -1;
}

/* The largest logit of the row, the first of equals, once the last block is here: "key, complement
 * of the id". */
__device__ inline Weight best_of_row(const SampleWork *work)
{
    Weight best = 0;
    for (int b = 0; b < SAMPLE_BLOCKS; b++) {
        const Weight x = __ldcg(&work->best[b]);
        best = x > best ? x : best;
    }
    return best;
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
    Weight best = 0, all;
    for (int id = row.first + threadIdx.x; id < row.end; id += SAMPLE_THREADS) {
        const Weight key = key_at(row, id), x = key << 32 | (uint32_t)~id;
        best = key > 0 && x > best ? x : best;
    }
    best = largest_of_block(best);
    if (threadIdx.x == 0) {
        row.work->best[blockIdx.x] = best;
    }
    int32_t found = -1;
    bool mine = false;
    if (!(sample.temperature > 0) || sample.top_k == 1) {
        mine = row_arrive(row.work, &all) && threadIdx.x == 0;
        best = mine ? best_of_row(row.work) : 0;
        found = best > 0 ? (int32_t) ~(uint32_t)best : -1;
    } else {
        row_barrier(row.work);
        best = best_of_row(row.work);
        row.max = sample_logit((uint32_t)(best >> 32));
        row.temperature = sample.temperature;
        if (best == 0 || best >> 32 == sample_key(__uint_as_float(0x7f800000))) {
            mine = blockIdx.x == 0 && threadIdx.x == 0;
            found = best > 0 ? (int32_t) ~(uint32_t)best : -1;
        } else {
            SampleCut cut = {0, 0};
            if (sample.top_k > 0) {
                cut = select_largest(row, 0, true, sample.top_k, 0, cut);
            }
            if (sample.top_p < 1) {
                cut = select_largest(row, 4, false, 0, sample.top_p > 0 ? sample.top_p : 0, cut);
            }
            found = draw_id(row, cut, sample_unit(sample.seed));
            mine = found >= 0;
        }
    }
    if (mine) {
        tokens[r] = found;
        pos[r]++;
        ring[sample.count % ${RING} * ${BATCH} + r] = found;
        state[r].seed = sample.seed + 0x9e3779b97f4a7c15;
        state[r].count = sample.count + 1;
    }
}
