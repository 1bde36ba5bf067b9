/* safetensors.c - maps checkpoints and checks their headers. */
#include "compiler/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compiler/base/file.h"

enum { HEADER_LIMIT = 100 * 1000 * 1000 };

static const Span nowhere = {0, 0};

typedef struct Range {
    uint64_t begin, end;
    Str name;
} Range;

typedef struct DTypeRow {
    const char *name;
    DType dtype;
    uint64_t bytes;
} DTypeRow;

static const DTypeRow dtype_rows[] = {
    {"F32", DT_F32, 4},  {"BF16", DT_BF16, 2},    {"F16", DT_F16, 2},      {"I32", DT_I32, 4},
    {"I8", DT_I8, 1},    {"U8", DT_U8, 1},        {"F64", DT_NONE, 8},     {"I64", DT_NONE, 8},
    {"I16", DT_NONE, 2}, {"BOOL", DT_NONE, 1},    {"U16", DT_NONE, 2},     {"U32", DT_NONE, 4},
    {"U64", DT_NONE, 8}, {"F8_E4M3", DT_NONE, 1}, {"F8_E5M2", DT_NONE, 1},
};

static const DTypeRow *dtype_row(const char *name)
{
    for (size_t i = 0; name && i < sizeof dtype_rows / sizeof *dtype_rows; i++) {
        if (strcmp(dtype_rows[i].name, name) == 0) {
            return &dtype_rows[i];
        }
    }
    return NULL;
}

static bool parse_shape(Checkpoint *c, const char *path, const json_t *shape, CheckpointTensor *t,
                        int64_t *elements)
{
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank > IR_MAX_RANK) {
        return diag_error(c->ctx->diag, nowhere, "%s: tensor '%s' has no shape of at most %d dims",
                          path, t->name, IR_MAX_RANK);
    }
    *elements = 1;
    t->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(shape, i);
        t->dim[i] = json_integer_value(dim);
        if (!json_is_integer(dim) || t->dim[i] < 0 ||
            !checked_mul_i64(*elements, t->dim[i], elements)) {
            return diag_error(c->ctx->diag, nowhere, "%s: tensor '%s' has an impossible shape",
                              path, t->name);
        }
    }
    return true;
}

static bool parse_offsets(const json_t *offsets, Range *range)
{
    if (!json_is_array(offsets) || json_array_size(offsets) != 2) {
        return false;
    }
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (!json_is_integer(begin) || !json_is_integer(end) || json_integer_value(begin) < 0) {
        return false;
    }
    range->begin = (uint64_t)json_integer_value(begin);
    range->end = (uint64_t)json_integer_value(end);
    return json_integer_value(end) >= json_integer_value(begin);
}

/* One entry of the header into *t and *range; `size` bytes of data lie behind the header. */
static bool parse_entry(Checkpoint *c, const char *path, const char *name, const json_t *entry,
                        uint64_t size, CheckpointTensor *t, Range *range)
{
    Diag *d = c->ctx->diag;
    *t = (CheckpointTensor){.name = str_intern(c->ctx->strings, name), .file = path};
    range->name = t->name;
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const DTypeRow *row = dtype_row(dtype);
    if (!row) {
        return diag_error(d, nowhere, "%s: tensor '%s' has unknown dtype '%s'", path, name,
                          dtype ? dtype : "(none)");
    }
    t->dtype = row->dtype;
    t->dtype_name = row->name;
    int64_t elements = 0;
    if (!parse_shape(c, path, json_object_get(entry, "shape"), t, &elements)) {
        return false;
    }
    if (!parse_offsets(json_object_get(entry, "data_offsets"), range)) {
        return diag_error(d, nowhere, "%s: tensor '%s' has no valid data_offsets", path, name);
    }
    if (range->end > size) {
        return diag_error(d, nowhere,
                          "%s: tensor '%s' ends at byte %" PRIu64 " of %" PRIu64
                          ": the file is truncated or damaged",
                          path, name, range->end, size);
    }
    int64_t bytes = 0;
    if (!checked_mul_i64(elements, (int64_t)row->bytes, &bytes) ||
        (uint64_t)bytes != range->end - range->begin) {
        return diag_error(d, nowhere,
                          "%s: tensor '%s' has %" PRIu64
                          " bytes of data, but its shape needs %" PRId64,
                          path, name, range->end - range->begin, bytes);
    }
    return true;
}

static int by_begin(const void *a, const void *b)
{
    const Range *x = a, *y = b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return x->end < y->end ? -1 : x->end > y->end;
}

static bool check_overlap(Checkpoint *c, const char *path, Range *ranges, size_t n)
{
    if (n) {
        qsort(ranges, n, sizeof *ranges, by_begin);
    }
    for (size_t i = 1; i < n; i++) {
        if (ranges[i].begin < ranges[i - 1].end) {
            return diag_error(c->ctx->diag, nowhere, "%s: tensors '%s' and '%s' overlap", path,
                              ranges[i - 1].name, ranges[i].name);
        }
    }
    return true;
}

static bool parse_entries(Checkpoint *c, const char *path, json_t *header, const uint8_t *data,
                          uint64_t size)
{
    Range *ranges = ARENA_ARRAY(c->ctx->arena, Range, json_object_size(header) + 1);
    size_t n = 0;
    const char *name = NULL;
    json_t *entry = NULL;
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            continue;
        }
        CheckpointTensor t;
        if (!parse_entry(c, path, name, entry, size, &t, &ranges[n])) {
            return false;
        }
        t.data = data + ranges[n++].begin;
        vec_push(c->ctx->arena, &c->tensors, t);
    }
    return check_overlap(c, path, ranges, n);
}

bool safetensors_parse(Checkpoint *c, const char *path, const uint8_t *data, size_t size)
{
    Diag *d = c->ctx->diag;
    uint64_t header_size = 0;
    if (size < sizeof header_size) {
        return diag_error(d, nowhere, "%s: %zu bytes are too few for a safetensors file", path,
                          size);
    }
    memcpy(&header_size, data, sizeof header_size);
    if (header_size > HEADER_LIMIT || header_size > size - sizeof header_size) {
        return diag_error(d, nowhere,
                          "%s: the header claims %" PRIu64
                          " bytes, the file has %zu: not a safetensors file, or truncated",
                          path, header_size, size);
    }
    json_error_t error;
    json_t *header = json_loadb((const char *)data + sizeof header_size, (size_t)header_size,
                                JSON_REJECT_DUPLICATES, &error);
    if (!header || !json_is_object(header)) {
        const char *what = header ? "not an object" : error.text;
        diag_error(d, nowhere, "%s: the header is not valid JSON: %s", path, what);
        json_decref(header);
        return false;
    }
    const uint8_t *body = data + sizeof header_size + header_size;
    bool ok = parse_entries(c, path, header, body, size - sizeof header_size - header_size);
    json_decref(header);
    return ok;
}

static bool map_file(Checkpoint *c, const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe: no wait */
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        diag_error(c->ctx->diag, nowhere, "cannot read %s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    Mapping m = {.size = (size_t)st.st_size};
    m.data = m.size ? mmap(NULL, m.size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    close(fd);
    if (m.data == MAP_FAILED) {
        return diag_error(c->ctx->diag, nowhere, "cannot map %s: %s", path, strerror(errno));
    }
    if (m.size) {
        vec_push(c->ctx->arena, &c->maps, m);
    }
    return safetensors_parse(c, path, m.data, m.size);
}

static bool shard_name_ok(const char *name)
{
    return name && *name && !strchr(name, '/') && strcmp(name, "..") != 0;
}

/* model.safetensors.index.json: {"weight_map": {"tensor": "file"}}; each file once. */
static bool map_shards(Checkpoint *c, const char *dir, const char *index_path)
{
    json_error_t error;
    json_t *index = json_load_file(index_path, JSON_REJECT_DUPLICATES, &error);
    json_t *map = json_object_get(index, "weight_map");
    bool ok = json_is_object(map);
    if (!ok) {
        diag_error(c->ctx->diag, nowhere, "%s: no \"weight_map\" in it%s%s", index_path,
                   index ? "" : ": ", index ? "" : error.text);
    }
    VEC(Str) seen = {0};
    const char *tensor = NULL;
    json_t *file = NULL;
    json_object_foreach(map, tensor, file)
    {
        const char *name = json_string_value(file);
        bool known = false;
        for (size_t i = 0; ok && name && i < seen.n; i++) {
            known = known || strcmp(seen.data[i], name) == 0;
        }
        if (!ok || known) {
            continue;
        }
        ok = shard_name_ok(name)
                 ? map_file(c, path_join(c->ctx->arena, dir, name))
                 : diag_error(c->ctx->diag, nowhere, "%s: '%s' is not in a file of this folder",
                              index_path, tensor);
        if (ok) {
            vec_push(c->ctx->arena, &seen, str_intern(c->ctx->strings, name));
        }
    }
    json_decref(index);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    const CheckpointTensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static bool sort_by_name(Checkpoint *c)
{
    if (c->tensors.n == 0) {
        return diag_error(c->ctx->diag, nowhere, "%s holds no tensors", c->path);
    }
    qsort(c->tensors.data, c->tensors.n, sizeof *c->tensors.data, by_name);
    for (size_t i = 1; i < c->tensors.n; i++) {
        const CheckpointTensor *a = &c->tensors.data[i - 1], *b = &c->tensors.data[i];
        if (a->name == b->name) {
            return diag_error(c->ctx->diag, nowhere, "tensor '%s' is in %s and again in %s",
                              a->name, a->file, b->file);
        }
    }
    return true;
}

static bool open_path(Checkpoint *c)
{
    Arena *a = c->ctx->arena;
    if (!file_is_dir(c->path)) {
        return map_file(c, c->path);
    }
    char *single = path_join(a, c->path, "model.safetensors");
    char *index = path_join(a, c->path, "model.safetensors.index.json");
    if (file_exists(single)) {
        return map_file(c, single);
    }
    if (file_exists(index)) {
        return map_shards(c, c->path, index);
    }
    return diag_error(c->ctx->diag, nowhere,
                      "%s holds neither model.safetensors nor model.safetensors.index.json",
                      c->path);
}

Checkpoint *checkpoint_open(Ctx *ctx, const char *path)
{
    Checkpoint *c = ARENA_NEW(ctx->arena, Checkpoint);
    c->ctx = ctx;
    c->path = path;
    if (open_path(c) && sort_by_name(c)) {
        return c;
    }
    checkpoint_close(c);
    return NULL;
}

void checkpoint_close(Checkpoint *c)
{
    for (size_t i = 0; i < c->maps.n; i++) {
        munmap(c->maps.data[i].data, c->maps.data[i].size);
    }
    c->maps.n = 0;
}

void checkpoint_forget(const Checkpoint *c)
{
    for (size_t i = 0; i < c->maps.n; i++) {
        madvise(c->maps.data[i].data, c->maps.data[i].size, MADV_DONTNEED);
    }
}

const CheckpointTensor *checkpoint_find(const Checkpoint *c, const char *name)
{
    CheckpointTensor key = {.name = name};
    return bsearch(&key, c->tensors.data, c->tensors.n, sizeof key, by_name);
}

const char *checkpoint_nearest(const Checkpoint *c, const char *name)
{
    const char **names = ARENA_ARRAY(c->ctx->arena, const char *, c->tensors.n + 1);
    for (size_t i = 0; i < c->tensors.n; i++) {
        names[i] = c->tensors.data[i].name;
    }
    return str_nearest(name, names, c->tensors.n);
}

static double half_to_double(uint16_t h)
{
    int exponent = (h >> 10) & 31;
    double mantissa = (double)(h & 1023);
    double x = exponent == 0    ? mantissa * 0x1p-24
               : exponent == 31 ? (mantissa != 0.0 ? (double)NAN : (double)INFINITY)
                                : (mantissa + 1024.0) * 0x1p-25 * (double)(1u << exponent);
    return h & 0x8000 ? -x : x;
}

static void convert_f32(const uint8_t *in, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, in + i * 4, sizeof x);
        out[i] = (double)x;
    }
}

/* bf16 is the upper half of an f32. */
static void convert_bf16(const uint8_t *in, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t half;
        float x;
        memcpy(&half, in + i * 2, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(&x, &bits, sizeof x);
        out[i] = (double)x;
    }
}

static void convert_f16(const uint8_t *in, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, in + i * 2, sizeof half);
        out[i] = half_to_double(half);
    }
}

/* n elements from element `at` on. */
static void convert(const CheckpointTensor *t, int64_t at, int64_t n, double *out)
{
    if (t->dtype == DT_F32) {
        convert_f32(t->data + at * 4, n, out);
    } else if (t->dtype == DT_BF16) {
        convert_bf16(t->data + at * 2, n, out);
    } else if (t->dtype == DT_F16) {
        convert_f16(t->data + at * 2, n, out);
    } else {
        BUG("tensor '%s' has dtype %s", t->name, t->dtype_name);
    }
}

/* Rows of the matrix are columns of the tensor: pieces of its rows, put upright. */
static void read_transposed(const WeightRef *ref, int64_t row, int64_t n, double *out)
{
    enum { PIECE = 64 };
    double piece[PIECE];
    int64_t stride = ref->tensor->dim[1];
    for (int64_t r = 0; r < n; r += PIECE) {
        int64_t some = n - r < PIECE ? n - r : PIECE;
        for (int64_t k = 0; k < ref->cols; k++) {
            convert(ref->tensor, k * stride + ref->first + row + r, some, piece);
            for (int64_t i = 0; i < some; i++) {
                out[(r + i) * ref->cols + k] = piece[i];
            }
        }
    }
}

void checkpoint_read(const WeightRef *ref, int64_t row, int64_t n, double *out)
{
    if (ref->transposed) {
        read_transposed(ref, row, n, out);
    } else {
        convert(ref->tensor, (ref->first + row) * ref->cols, n * ref->cols, out);
    }
}
