/* pack_encode.c - rows of numbers to bytes in the physical order of a Layout.
 *
 *   row of doubles --encode--> row of codes --scatter--> tiles
 *
 *   tile(R, C): row r of tile (i, j) is C columns in a row; tiles of one row of tiles lie one after
 *   another. So row r of the matrix is cut into pieces of C columns, and piece j goes to
 *   (j * R + r % R) * C. u4: a piece is C / 2 bytes. */
#include "compiler/pack.h"

#include <math.h>
#include <string.h>

static int64_t rows_of(const Type *t)
{
    return t->rank > 0 ? t->dim[0] : 1;
}

static int64_t columns_of(const Type *t)
{
    return t->dim[0] > 0 && t->rank > 0 ? type_elements(t) / t->dim[0] : 1;
}

static int64_t round_up(int64_t x, int64_t to)
{
    return (x + to - 1) / to * to;
}

static int64_t padded_columns(const Type *t)
{
    return t->layout.rows > 0 ? round_up(columns_of(t), t->layout.cols) : columns_of(t);
}

int64_t pack_row_offset(const Type *t, int64_t row)
{
    return row * padded_columns(t) * dtype_bits(t->dtype) / 8;
}

int64_t pack_rows_bytes(const Type *t, int64_t row, int64_t n)
{
    bool last = row + n == rows_of(t);
    int64_t end = last ? type_bytes(t) : pack_row_offset(t, row + n);
    return end - pack_row_offset(t, row);
}

/* ---- numbers to codes ------------------------------------------------------------------------ */

static void encode_f32(const double *in, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        float x = (float)in[i];
        memcpy(out + i * 4, &x, sizeof x);
    }
}

/* The numbers are bf16 already: the lower half of the f32 is zero. */
static void encode_bf16(const double *in, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        float x = (float)in[i];
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        uint16_t half = (uint16_t)(bits >> 16);
        memcpy(out + i * 2, &half, sizeof half);
    }
}

/* The numbers are binary16 already: at most 11 significant bits, exponent -24 .. 15. */
static uint16_t half_of(double d)
{
    float x = (float)d;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x7f800000) {
        return (uint16_t)(sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 : 0));
    }
    if (magnitude >= 0x38800000) { /* 2^-14: normal; exponent bias 127 becomes 15 */
        return (uint16_t)(sign | ((magnitude - 0x38000000) >> 13));
    }
    return (uint16_t)(sign | (uint32_t)fabs(ldexp(d, 24)));
}

static void encode_f16(const double *in, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t half = half_of(in[i]);
        memcpy(out + i * 2, &half, sizeof half);
    }
}

static void encode_i32(const double *in, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t x = (int32_t)in[i];
        memcpy(out + i * 4, &x, sizeof x);
    }
}

/* The numbers are e4m3 already: at most 4 significant bits, exponent -9 .. 8. */
static uint8_t e4m3_of(double d)
{
    uint8_t sign = signbit(d) ? 0x80 : 0;
    if (isnan(d)) {
        return (uint8_t)(sign | 0x7f);
    }
    double magnitude = fabs(d);
    if (magnitude < 0x1p-6) {
        return (uint8_t)(sign | (uint8_t)ldexp(magnitude, 9));
    }
    int e;
    double fraction = frexp(magnitude, &e); /* in [1/2, 1): 8 to 15 sixteenths */
    return (uint8_t)(sign | ((e + 6) * 8 + (int)(fraction * 16) - 8));
}

static void encode_e4m3(const double *in, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = e4m3_of(in[i]);
    }
}

/* i8 in two's complement, u8, and u4 as one code a byte. */
static void encode_byte(const double *in, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(int32_t)in[i];
    }
}

static void encode(DType t, const double *in, int64_t n, uint8_t *out)
{
    switch (t) {
    case DT_F32:
        encode_f32(in, n, out);
        return;
    case DT_BF16:
        encode_bf16(in, n, out);
        return;
    case DT_F16:
        encode_f16(in, n, out);
        return;
    case DT_I32:
        encode_i32(in, n, out);
        return;
    case DT_E4M3:
        encode_e4m3(in, n, out);
        return;
    case DT_I8:
    case DT_U8:
    case DT_U4:
        encode_byte(in, n, out);
        return;
    case DT_NONE:
    case DT_COUNT:
        break;
    }
    BUG("a value without a dtype");
}

/* Codes in pairs to bytes: within each run of 2 * sub codes, code b and code b + sub. */
static void join_nibbles(const uint8_t *code, int64_t n, int64_t sub, uint8_t *out)
{
    for (int64_t i = 0; i < n; i += 2 * sub) {
        for (int64_t b = 0; b < sub; b++) {
            out[(i / 2) + b] = (uint8_t)((code[i + b] & 15) | (code[i + b + sub] & 15) << 4);
        }
    }
}

/* ---- pieces to tiles ------------------------------------------------------------------------- */

/* n pieces of `size` bytes: piece j to out + j * stride. The sizes that targets use are constants
 * to the compiler. */
static void scatter(const uint8_t *in, int64_t n, int64_t size, int64_t stride, uint8_t *out)
{
#define SCATTER(bytes)                                                                             \
    for (int64_t j = 0; j < n; j++) {                                                              \
        memcpy(out + j * stride, in + j * (bytes), (size_t)(bytes));                               \
    }
    if (size == 1) {
        SCATTER(1)
    } else if (size == 2) {
        SCATTER(2)
    } else if (size == 4) {
        SCATTER(4)
    } else if (size == 8) {
        SCATTER(8)
    } else {
        SCATTER(size)
    }
#undef SCATTER
}

static void encode_tiled(Arena *scratch, const Type *t, int64_t n, const double *in, uint8_t *out)
{
    const Layout *l = &t->layout;
    int64_t cols = columns_of(t), padded = padded_columns(t);
    int64_t bits = dtype_bits(t->dtype), piece = l->cols * bits / 8;
    bool nibbles = bits == 4;
    uint8_t *code = ARENA_ARRAY(scratch, uint8_t, padded * 4); /* zero behind `cols` */
    uint8_t *joined = nibbles ? ARENA_ARRAY(scratch, uint8_t, padded) : code;
    int64_t tile_row_bytes = padded * l->rows * bits / 8;
    for (int64_t r = 0; r < n; r++) {
        encode(t->dtype, in + r * cols, cols, code);
        if (nibbles) {
            join_nibbles(code, padded, l->sub > 0 ? l->sub : 1, joined);
        }
        uint8_t *to = out + r / l->rows * tile_row_bytes + r % l->rows * piece;
        scatter(joined, padded / l->cols, piece, l->rows * piece, to);
    }
}

static void encode_flat(Arena *scratch, const Type *t, int64_t n, const double *in, uint8_t *out)
{
    int64_t count = n * columns_of(t);
    if (t->dtype != DT_U4) {
        encode(t->dtype, in, count, out);
        return;
    }
    uint8_t *code = ARENA_ARRAY(scratch, uint8_t, count + 1);
    encode(t->dtype, in, count, code);
    join_nibbles(code, count, 1, out);
}

void pack_encode_rows(Arena *scratch, const Type *t, int64_t row, int64_t n, const double *in,
                      uint8_t *out)
{
    memset(out, 0, (size_t)pack_rows_bytes(t, row, n));
    if (t->layout.rows > 0) {
        encode_tiled(scratch, t, n, in, out);
    } else {
        encode_flat(scratch, t, n, in, out);
    }
}
