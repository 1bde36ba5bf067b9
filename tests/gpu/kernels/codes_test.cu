/* codes_test.cu - the target's arithmetic on codes of 8 bits, number by number: e4m3 to f32, to
 * bf16 and through the tensor cores, f32 to e4m3 at every number, every middle between two and
 * beside them; sums of int8 products, which are exact. The helpers are those that programs contain:
 * the templates prelude*.cu are C++ as they stand. */
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../../../templates/cuda/prelude.cu"
#include "../../../templates/cuda/prelude_codes.cu"
#include "../../../templates/cuda/prelude_mma.cu"

#define CHECK(call)                                                                                \
    if ((call) != cudaSuccess) {                                                                   \
        printf("%s: %s\n", #call, cudaGetErrorString(cudaGetLastError()));                         \
        exit(1);                                                                                   \
    }

enum { CASES = 127 * 6 };

static int failures;

template <class T> static T *device_alloc(size_t n)
{
    T *p = nullptr;
    CHECK(cudaMalloc(&p, n * sizeof(T)));
    CHECK(cudaMemset(p, 0xff, n * sizeof(T)));
    return p;
}

/* By the definition of the format: bias 7, 3 bits of mantissa. */
static double number_of(int code)
{
    const int e = code >> 3 & 15, m = code & 7;
    const double x = e == 0 ? ldexp(m, -9) : ldexp(8 + m, e - 10);
    return code < 128 ? x : -x;
}

/* What the paths make of code i: scalar, eight at once, bf16; by mma as bf16 times 2^-120 and as
 * the code. A warp has 16 codes in the rows of a, 1 in a column of b. */
__global__ void decode(float *out)
{
    const int lane = threadIdx.x, base = blockIdx.x * 16;
    const int row = base + lane / 4, first = lane % 4 == 0;
    if (lane < 16) {
        const uint32_t code = base + lane;
        float f[8];
        floats_of_e4m3x8(f, {code, 0});
        out[code] = float_of_e4m3((uint8_t)code);
        out[256 + code] = f[0];
        out[512 + code] = float_of_bf16((uint16_t)bf16_from_e4m3x8(code, 0, 0).x);
    }
    /* column 0 of a has the codes, row 0 of b ones */
    const uint32_t low = first ? row : 0, high = first ? row + 8 : 0;
    float small[4] = {}, whole[4] = {};
    const uint32_t one = first ? (uint32_t)bf16_of_float(0x1p64f) : 0;
    mma_bf16(small, {bf16_of_e4m3x8(low, 0, 0).x, bf16_of_e4m3x8(high, 0, 0).x, 0, 0}, one, 0);
    mma_e4m3(whole, {low, high, 0, 0}, first ? 0x38 : 0, 0);
    if (first) {
        out[768 + row] = small[0] * 0x1p56f;
        out[768 + row + 8] = small[2] * 0x1p56f;
        out[1024 + row] = whole[0];
        out[1024 + row + 8] = whole[2];
    }
}

__global__ void encode(const float *x, uint8_t *code, int n)
{
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i < n) {
        code[i] = e4m3_of_float(x[i]);
    }
}

/* 16 x 32 by 32 x 8 codes in rows of 32 and columns of 32; c in rows of 8. */
__global__ void multiply(const int8_t *a, const int8_t *b, int *c)
{
    const int lane = threadIdx.x, g = lane / 4, i = lane % 4;
    const uint32_t *rows = (const uint32_t *)a, *columns = (const uint32_t *)b;
    int sum[4] = {};
    const uint4 four = {rows[g * 8 + i], rows[(g + 8) * 8 + i], rows[g * 8 + 4 + i],
                        rows[(g + 8) * 8 + 4 + i]};
    mma_s8(sum, four, columns[g * 8 + i], columns[g * 8 + 4 + i]);
    for (int j = 0; j < 4; j++) {
        c[(g + j / 2 * 8) * 8 + i * 2 + j % 2] = sum[j];
    }
}

static void expect(bool good, const char *what, double got, double want)
{
    if (!good && failures++ < 20) {
        printf("WRONG %s: %.9g, expected %.9g\n", what, got, want);
    }
}

static void test_decode(void)
{
    static const char *const paths[] = {"float_of_e4m3", "floats_of_e4m3x8", "bf16_from_e4m3x8",
                                        "mma of bf16 times 2^-120", "mma of e4m3"};
    float *out = device_alloc<float>(5 * 256);
    std::vector<float> got(5 * 256);
    decode<<<16, 32>>>(out);
    CHECK(cudaMemcpy(got.data(), out, got.size() * 4, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 5 * 256; i++) {
        const int code = i % 256;
        if (code % 128 != 127) {
            expect((double)got[i] == number_of(code), paths[i / 256], got[i], number_of(code));
        } else if (i / 256 < 2 || i / 256 == 4) { /* weights, read as bf16, have no NaN */
            expect(got[i] != got[i], paths[i / 256], got[i], NAN);
        }
    }
}

/* Codes and middles between them, each with the f32 numbers beside it; then their negatives. */
static std::vector<float> cases(void)
{
    std::vector<float> x;
    for (int i = 0; i < CASES; i++) {
        const int c = i / 6;
        const double at = number_of(c), next = c == 126 ? 480 : number_of(c + 1);
        const float y = (float)(i % 6 < 3 ? at : (at + next) / 2);
        const float to = i % 3 == 0 ? -1e9f : i % 3 == 1 ? y : 1e9f;
        x.push_back(i == 0 ? 0 : nextafterf(y, to));
    }
    x.insert(x.end(), {449, 1000, 3e38f, INFINITY, 1e-30f});
    for (size_t i = 0, n = x.size(); i < n; i++) {
        x.push_back(-x[i]);
    }
    return x;
}

/* Found by looking at all: the nearest, the even code of two, the largest for what is beyond. */
static int nearest(double x)
{
    int best = 0;
    const double size = fmin(fabs(x), 448);
    for (int c = 1; c < 127; c++) {
        const double d = fabs(size - number_of(c)), least = fabs(size - number_of(best));
        best = d < least || (d == least && c % 2 == 0) ? c : best;
    }
    return signbit(x) ? best | 0x80 : best;
}

static void test_encode(void)
{
    const std::vector<float> x = cases();
    const int n = (int)x.size();
    float *from = device_alloc<float>(n);
    uint8_t *code = device_alloc<uint8_t>(n);
    std::vector<uint8_t> got(n);
    CHECK(cudaMemcpy(from, x.data(), n * sizeof(float), cudaMemcpyHostToDevice));
    encode<<<(n + 255) / 256, 256>>>(from, code, n);
    CHECK(cudaMemcpy(got.data(), code, n, cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++) {
        expect(got[i] == nearest(x[i]), "e4m3_of_float", got[i], nearest(x[i]));
    }
}

static void test_int8(void)
{
    int8_t ab[24 * 32];
    int want, got[16 * 8], *c = device_alloc<int>(16 * 8);
    int8_t *from = device_alloc<int8_t>(24 * 32);
    for (int i = 0; i < 24 * 32; i++) {
        ab[i] = (int8_t)(i < 64 ? -127 : (int)(i * 2654435761u >> 16) % 255 - 127);
    }
    CHECK(cudaMemcpy(from, ab, sizeof ab, cudaMemcpyHostToDevice));
    multiply<<<1, 32>>>(from, from + 16 * 32, c);
    CHECK(cudaMemcpy(got, c, sizeof got, cudaMemcpyDeviceToHost));
    for (int i = 0; i < 16 * 8; i++) {
        want = 0;
        for (int k = 0; k < 32; k++) {
            want += ab[i / 8 * 32 + k] * ab[16 * 32 + i % 8 * 32 + k];
        }
        expect(got[i] == want, "mma_s8", got[i], want);
    }
}

int main()
{
    test_decode();
    test_encode();
    test_int8();
    printf("codes of 8 bits: %s\n", failures == 0 ? "exact" : "WRONG");
    return failures != 0;
}
