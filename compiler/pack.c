/* pack.c - writes an x.weights file: header, table, tensors; see pack.h.
 *
 *   for each tensor of the plan, for each copy (layer), for each block of rows:
 *       source --interp_const_rows--> doubles --pack_encode_rows--> bytes --> checksum, file
 *
 * The file grows under a temporary name in the same folder; when all is there it is synced and
 * renamed. Header and table are written last, when the checksums are known. */
#include "compiler/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "compiler/base/file.h"
#include "compiler/tokenizer_json.h"
#include "ir/interp.h"
#include "runtime/weights_format.h"

static const Span nowhere = {0, 0};

/* Numbers in a block of rows: fits a second-level cache, and some copies of it fit in little
 * memory. Small in debug builds, so that tests meet tensors of several blocks. */
#ifdef SINTER_SMALL_LIMITS
enum { BLOCK_NUMBERS = 1024 };
#else
enum { BLOCK_NUMBERS = 1 << 17 };
#endif

typedef struct Packer {
    const PackRequest *request;
    Ctx *ctx;
    PackSource *source;
    Arena *scratch;
    const char *temporary;
    int fd;
    WeightsEntry *entry;    /* [n_entries + 1] */
    WeightsEntry tokenizer; /* no name: there is none */
    uint32_t n_entries;
    uint64_t file_bytes, done_bytes, total_bytes;
    double largest; /* number of the tensor that is being written */
    struct timespec start, shown;
    bool bar; /* progress is a terminal */
} Packer;

/* ---- progress -------------------------------------------------------------------------------- */

static double seconds_since(const struct timespec *t)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + 1e-9 * (double)(now.tv_nsec - t->tv_nsec);
}

/* "7.1 MB" */
static const char *size_text(char text[32], double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    for (; bytes >= 1000 && unit < 4; unit++) {
        bytes /= 1000;
    }
    snprintf(text, 32, "%.*f %s", unit > 0, bytes, units[unit]);
    return text;
}

static void show_progress(Packer *p, bool last)
{
    enum { WIDTH = 30 };
    if (!p->bar || (!last && seconds_since(&p->shown) < 0.1)) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &p->shown);
    double share = p->total_bytes ? (double)p->done_bytes / (double)p->total_bytes : 1;
    char bar[WIDTH + 1], done[32], total[32], rate[32];
    for (int i = 0; i < WIDTH; i++) {
        bar[i] = i < (int)(share * WIDTH) ? '#' : '.';
    }
    bar[WIDTH] = '\0';
    fprintf(p->request->progress, "\rpacking [%s] %3d %%  %s of %s  %s/s   ", bar,
            (int)(share * 100), size_text(done, (double)p->done_bytes),
            size_text(total, (double)p->total_bytes),
            size_text(rate, (double)p->done_bytes / fmax(seconds_since(&p->start), 1e-3)));
    fflush(p->request->progress);
}

/* Nothing of the bar stays on the line. */
static void clear_progress(const Packer *p)
{
    if (p->bar) {
        fprintf(p->request->progress, "\r%78s\r", "");
        fflush(p->request->progress);
    }
}

static void show_result(const Packer *p)
{
    char size[32];
    if (p->request->progress) {
        fprintf(p->request->progress, "packed %s in %.1f s\n",
                size_text(size, (double)p->file_bytes), seconds_since(&p->start));
    }
}

/* ---- file ------------------------------------------------------------------------------------ */

static bool write_failed(const Packer *p)
{
    char size[32];
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
        return diag_error(p->ctx->diag, nowhere,
                          "cannot write %s: %s; the file needs %s, free some space or give another "
                          "folder with -o",
                          p->request->output, strerror(errno),
                          size_text(size, (double)p->request->plan->file_bytes));
    }
    return diag_error(p->ctx->diag, nowhere, "cannot write %s: %s", p->request->output,
                      strerror(errno));
}

static bool write_at(const Packer *p, const void *data, uint64_t n, uint64_t offset)
{
    const uint8_t *from = data;
    while (n > 0) {
        ssize_t written = pwrite(p->fd, from, n < 1 << 30 ? n : 1 << 30, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            errno = written == 0 ? ENOSPC : errno;
            return write_failed(p);
        }
        from += written;
        offset += (uint64_t)written;
        n -= (uint64_t)written;
    }
    return true;
}

static bool open_temporary(Packer *p)
{
    char *name = arena_printf(p->ctx->arena, "%s.XXXXXX", p->request->output);
    p->fd = mkstemp(name);
    if (p->fd < 0) {
        return write_failed(p);
    }
    p->temporary = name;
    mode_t mask = umask(0);
    umask(mask);
    return fchmod(p->fd, 0666 & ~mask) == 0 || write_failed(p);
}

/* ---- tensors --------------------------------------------------------------------------------- */

static bool set_entry(const Packer *p, WeightsEntry *e, const char *name, const char *type,
                      uint64_t offset, uint64_t bytes, uint64_t checksum)
{
    if (strlen(name) >= WEIGHTS_NAME) {
        return diag_error(p->ctx->diag, nowhere,
                          "the name of tensor %s is longer than %d characters", name,
                          WEIGHTS_NAME - 1);
    }
    snprintf(e->name, sizeof e->name, "%s", name);
    snprintf(e->type, sizeof e->type, "%s", type);
    e->offset = offset;
    e->bytes = bytes;
    e->checksum = checksum;
    return true;
}

/* Columns of the widest constant behind v: a vector of scales has rows of a matrix behind it. */
static int64_t widest(const Func *f, ValueId v)
{
    const Value *value = &f->value[v];
    int64_t n = type_elements(value->type) / (value->type->rank > 0 ? value->type->dim[0] : 1);
    const Op *op = value->kind == VALUE_RESULT ? &f->op[value->def] : NULL;
    for (int i = 0; op && i < op->n_in; i++) {
        int64_t behind = op->in[i] ? widest(f, op->in[i]) : 0;
        n = behind > n ? behind : n;
    }
    return n;
}

/* Rows of a block: whole rows of tiles, about BLOCK_NUMBERS numbers. */
static int64_t block_rows(const WeightTensor *t)
{
    int64_t step = t->type->layout.rows > 0 ? t->type->layout.rows : 2;
    int64_t n = BLOCK_NUMBERS / widest(t->func, t->value) / step * step;
    return n > step ? n : step;
}

static bool group_scales(const WeightTensor *t)
{
    return t->fill == 'S';
}

static const char one_scale[] = "quant.group 0, whose scales are f32";

/* "model.safetensors: "; random weights have no file. */
static const char *checkpoint_words(const Packer *p)
{
    const char *path = p->request->checkpoint;
    return path ? arena_printf(p->ctx->arena, "%s: ", path) : "";
}

static bool check_range(const Packer *p, const WeightTensor *t, const char *name, int64_t row,
                        int64_t n, const double *x)
{
    int64_t cols = type_elements(t->type) / (t->type->rank > 0 ? t->type->dim[0] : 1);
    double sum = 0;
    for (int64_t i = 0; i < n * cols; i++) {
        sum += x[i] * 0;
    }
    if (sum == 0) {
        return true;
    }
    int64_t i = 0;
    while (isfinite(x[i])) {
        i++;
    }
    return diag_error(p->ctx->diag, nowhere,
                      "%sa number of %s at [%" PRId64 ", %" PRId64 "] is too large for %s; compile "
                      "with %s",
                      checkpoint_words(p), name, row + i / cols, i % cols,
                      dtype_name(t->type->dtype),
                      group_scales(t) ? one_scale : "--dtype f32 or bf16");
}

/* Scales of groups are f16, which has 4 bits of a number below 2^-20 and none below 2^-25. That is
 * enough for groups beside larger ones. */
static bool check_scales(const Packer *p, const WeightTensor *t, const char *name, double largest)
{
    return !group_scales(t) || largest <= 0 || largest >= 0x1p-20 ||
           diag_error(p->ctx->diag, nowhere,
                      "%sall of %s are below %.1e, too small for f16; compile with %s",
                      checkpoint_words(p), name, 0x1p-20, one_scale);
}

static bool write_block(Packer *p, const WeightTensor *t, const char *name, int64_t row, int64_t n,
                        uint64_t at, XXH3_state_t *sum)
{
    arena_reset(p->scratch);
    const ConstSource source = {pack_source_load, p->source};
    int64_t cols = type_elements(t->type) / (t->type->rank > 0 ? t->type->dim[0] : 1);
    double *x = ARENA_ARRAY(p->scratch, double, n *cols);
    if (!interp_const_rows(p->scratch, t->func, t->value, row, n, &source, x) ||
        !check_range(p, t, name, row, n, x)) {
        return false;
    }
    for (int64_t i = 0; i < n * cols; i++) {
        p->largest = fmax(p->largest, fabs(x[i]));
    }
    uint64_t bytes = (uint64_t)pack_rows_bytes(t->type, row, n);
    uint8_t *data = ARENA_ARRAY(p->scratch, uint8_t, bytes);
    pack_encode_rows(p->scratch, t->type, row, n, x, data);
    XXH3_64bits_update(sum, data, bytes);
    p->done_bytes += bytes;
    show_progress(p, false);
    return write_at(p, data, bytes, at + (uint64_t)pack_row_offset(t->type, row));
}

static bool write_rows(Packer *p, const WeightTensor *t, const char *name, uint64_t at,
                       XXH3_state_t *sum)
{
    int64_t rows = t->type->rank > 0 ? t->type->dim[0] : 1, step = block_rows(t);
    for (int64_t row = 0; row < rows; row += step) {
        int64_t n = rows - row < step ? rows - row : step;
        if (!write_block(p, t, name, row, n, at, sum)) {
            return false;
        }
    }
    return true;
}

static bool write_tensor(Packer *p, const WeightTensor *t, int copy)
{
    int layer = t->layered ? t->first_layer + copy * t->layer_step : -1;
    uint64_t at = t->offset + (uint64_t)copy * t->stride;
    const char *name = weights_entry_name(p->ctx, t, copy);
    XXH3_state_t *sum = XXH3_createState();
    if (!sum) {
        return diag_error(p->ctx->diag, nowhere, "out of memory");
    }
    XXH3_64bits_reset(sum);
    pack_source_select(p->source, t->func, layer);
    p->largest = 0;
    bool ok = write_rows(p, t, name, at, sum) && check_scales(p, t, name, p->largest);
    uint64_t checksum = XXH3_64bits_digest(sum);
    XXH3_freeState(sum);
    return ok && set_entry(p, &p->entry[p->n_entries++], name, type_text(p->ctx->arena, t->type),
                           at, t->bytes, checksum);
}

typedef struct Place {
    uint64_t offset;
    const WeightTensor *tensor;
    int copy;
} Place;

static int by_offset(const void *a, const void *b)
{
    const Place *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* All copies of all tensors, in the order of the file. */
static bool write_tensors(Packer *p)
{
    const WeightsPlan *plan = p->request->plan;
    Place *place = ARENA_ARRAY(p->ctx->arena, Place, plan->n_entries + 1);
    size_t n = 0;
    for (size_t i = 0; i < plan->tensors.n; i++) {
        const WeightTensor *t = &plan->tensors.data[i];
        for (int copy = 0; copy < t->count; copy++) {
            place[n++] = (Place){t->offset + (uint64_t)copy * t->stride, t, copy};
            p->total_bytes += t->bytes;
        }
    }
    qsort(place, n, sizeof *place, by_offset);
    for (size_t i = 0; i < n; i++) {
        if (!write_tensor(p, place[i].tensor, place[i].copy)) {
            return false;
        }
    }
    return true;
}

/* ---- tokenizer ------------------------------------------------------------------------------- */

static bool check_vocabulary(const Packer *p, const Buf *blob)
{
    uint32_t n_vocab = 0;
    memcpy(&n_vocab, blob->data + 12, sizeof n_vocab); /* see runtime/tokenizer.h */
    if ((int64_t)n_vocab <= p->request->spec->vocab) {
        return true;
    }
    return diag_error(p->ctx->diag, p->request->spec->place[KEY_VOCAB].value,
                      "vocab is %" PRId64 ", but the tokenizer in %s has %" PRIu32 " entries",
                      p->request->spec->vocab, p->request->checkpoint, n_vocab);
}

/* The tokenizer of the checkpoint's folder goes behind the tensors; none is no error. It is first
 * in time because a tokenizer that does not fit is better found before gigabytes are packed. */
static bool write_tokenizer(Packer *p)
{
    p->file_bytes = p->request->plan->file_bytes;
    const char *path = p->request->checkpoint;
    if (!path) {
        return true;
    }
    const char *dir = file_is_dir(path) ? path : path_dir(p->ctx->arena, path);
    Buf blob = buf_create(p->ctx->arena);
    bool found = false;
    if (!tokenizer_json_pack(p->ctx, dir, &blob, &found)) {
        return false;
    }
    if (!found) {
        return true;
    }
    uint64_t at = p->file_bytes;
    p->file_bytes += (blob.len + WEIGHTS_ALIGN - 1) / WEIGHTS_ALIGN * WEIGHTS_ALIGN;
    const char *type = arena_printf(p->ctx->arena, "u8[%zu]", blob.len);
    return check_vocabulary(p, &blob) && write_at(p, blob.data, blob.len, at) &&
           set_entry(p, &p->tokenizer, "tokenizer", type, at, blob.len,
                     XXH3_64bits(blob.data, blob.len));
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool write_header(Packer *p)
{
    const PackRequest *r = p->request;
    if (p->tokenizer.name[0]) {
        p->entry[p->n_entries++] = p->tokenizer;
    }
    uint64_t table = (uint64_t)p->n_entries * sizeof(WeightsEntry);
    uint8_t *bytes = ARENA_ARRAY(p->ctx->arena, uint8_t, sizeof(WeightsHeader) + table);
    WeightsHeader h = {.n_tensors = p->n_entries,
                       .header_bytes = sizeof h + table,
                       .file_bytes = p->file_bytes,
                       .layout_hash = r->plan->layout_hash};
    memcpy(h.magic, WEIGHTS_MAGIC, sizeof h.magic);
    snprintf(h.model, sizeof h.model, "%s", r->spec->name);
    snprintf(h.layout, sizeof h.layout, "%s", r->layout ? r->layout : "");
    memcpy(bytes, &h, sizeof h);
    memcpy(bytes + sizeof h, p->entry, table);
    h.header_checksum = XXH3_64bits(bytes, h.header_bytes);
    memcpy(bytes, &h, sizeof h);
    return write_at(p, bytes, h.header_bytes, 0);
}

/* Bytes between tensors are never written: they read as zeros. */
static bool finish_file(Packer *p)
{
    if (ftruncate(p->fd, (off_t)p->file_bytes) != 0 || fsync(p->fd) != 0) {
        return write_failed(p);
    }
    int closed = close(p->fd);
    p->fd = -1;
    if (closed != 0 || rename(p->temporary, p->request->output) != 0) {
        return write_failed(p);
    }
    p->temporary = NULL;
    return true;
}

static bool pack_all(Packer *p)
{
    bool ok = write_tokenizer(p) && write_tensors(p) && pack_source_check_unused(p->source) &&
              write_header(p);
    show_progress(p, ok);
    clear_progress(p);
    return ok && finish_file(p);
}

bool pack_write(const PackRequest *r)
{
    Packer p = {.request = r, .ctx = r->ctx, .fd = -1};
    p.source = pack_source_open(r->ctx, r->spec, r->checkpoint, r->seed);
    if (!p.source) {
        return false;
    }
    p.scratch = arena_create();
    p.entry = ARENA_ARRAY(r->ctx->arena, WeightsEntry, r->plan->n_entries + 1);
    p.bar = r->progress && isatty(fileno(r->progress));
    clock_gettime(CLOCK_MONOTONIC, &p.start);
    bool ok = open_temporary(&p) && pack_all(&p);
    if (p.fd >= 0) {
        close(p.fd);
    }
    if (p.temporary) {
        unlink(p.temporary);
    }
    arena_destroy(p.scratch);
    pack_source_close(p.source);
    if (ok) {
        show_result(&p);
    }
    return ok;
}
