/* weights.c - checks an x.weights file and believes nothing in it: sizes, offsets, names, the
 * layout the program was compiled for, checksums. What passes can be read by the kernels without a
 * check.
 *
 * Order of the checks: whole file there -> header and table intact -> packed for this program ->
 * each tensor where the program expects it -> every byte as it was packed. */
#include "weights.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "memory.h"

/* Everything the checks look at. */
typedef struct File {
    const SinterModel *model;
    const char *path;
    const uint8_t *data;
    uint64_t bytes;
    WeightsHeader header;
    Message *m;
} File;

uint64_t weights_checksum(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}

uint64_t weights_header_checksum(const void *header, size_t bytes)
{
    const size_t at = offsetof(WeightsHeader, header_checksum);
    static const uint64_t zero = 0;
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return 0;
    const uint8_t *p = header;
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, p, at);
    XXH3_64bits_update(state, &zero, sizeof zero);
    XXH3_64bits_update(state, p + at + sizeof zero, bytes - at - sizeof zero);
    uint64_t sum = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return sum;
}

/* ---- header and table ------------------------------------------------------------------------ */

static WeightsEntry entry_at(const File *f, uint32_t i)
{
    WeightsEntry e;
    memcpy(&e, f->data + sizeof f->header + i * sizeof e, sizeof e);
    return e;
}

/* A fixed field holds a name: printable ASCII, ended by NUL. */
static int is_text(const char *s, size_t size)
{
    size_t n = 0;
    while (n < size && s[n] >= ' ' && s[n] <= '~')
        n++;
    return n < size && s[n] == 0;
}

static SinterStatus check_size(const File *f)
{
    const WeightsHeader *h = &f->header;
    if (h->file_bytes > f->bytes)
        return message_set(f->m, SINTER_BAD_INPUT,
                           "%s is cut off: %" PRIu64 " bytes, its header says %" PRIu64
                           "; copy or pack it again",
                           f->path, f->bytes, h->file_bytes);
    if (h->file_bytes < f->bytes)
        return message_set(f->m, SINTER_BAD_INPUT,
                           "%s has %" PRIu64 " bytes, but its header says %" PRIu64
                           "; copy or pack it again",
                           f->path, f->bytes, h->file_bytes);
    return SINTER_OK;
}

static SinterStatus check_header(const File *f)
{
    const WeightsHeader *h = &f->header;
    uint64_t most = (f->bytes - sizeof *h) / sizeof(WeightsEntry);
    if (h->n_tensors > most)
        return message_set(f->m, SINTER_BAD_INPUT,
                           "%s is damaged: the header counts %" PRIu32
                           " tensors, the file has room for %" PRIu64,
                           f->path, h->n_tensors, most);
    uint64_t table = sizeof *h + h->n_tensors * (uint64_t)sizeof(WeightsEntry);
    if (h->header_bytes < table || h->header_bytes > f->bytes)
        return message_set(f->m, SINTER_BAD_INPUT,
                           "%s is damaged: header_bytes is %" PRIu64 ", the table ends at %" PRIu64
                           " and the file at %" PRIu64,
                           f->path, h->header_bytes, table, f->bytes);
    if (weights_header_checksum(f->data, (size_t)h->header_bytes) != h->header_checksum)
        return message_set(
            f->m, SINTER_BAD_INPUT,
            "%s is damaged: the checksum of its header and table does not match; copy "
            "or pack it again",
            f->path);
    if (!is_text(h->model, sizeof h->model) || !is_text(h->layout, sizeof h->layout))
        return message_set(f->m, SINTER_BAD_INPUT,
                           "%s is damaged: model name or layout in the header is not text",
                           f->path);
    return SINTER_OK;
}

static SinterStatus read_header(File *f)
{
    if (f->bytes < sizeof f->header)
        return message_set(f->m, SINTER_BAD_INPUT,
                           "%s is not a weights file: %" PRIu64
                           " bytes, a header alone has %zu; make "
                           "one with 'sinter pack SPEC --weights DIR -o FILE'",
                           f->path, f->bytes, sizeof f->header);
    memcpy(&f->header, f->data, sizeof f->header);
    if (memcmp(f->header.magic, WEIGHTS_MAGIC, sizeof f->header.magic) != 0)
        return message_set(
            f->m, SINTER_BAD_INPUT,
            "%s is not a weights file (it does not begin with \"%s\"); make one with "
            "'sinter pack SPEC --weights DIR -o FILE'",
            f->path, WEIGHTS_MAGIC);
    SinterStatus status = check_size(f);
    return status ? status : check_header(f);
}

/* ---- against the program --------------------------------------------------------------------- */

static SinterStatus check_layout(const File *f)
{
    const WeightsHeader *h = &f->header;
    const SinterModel *model = f->model;
    if (h->layout_hash == model->layout_hash)
        return SINTER_OK;
    return message_set(
        f->m, SINTER_BAD_INPUT,
        "%s was packed for another program\n"
        "  the file:     %s, %s (layout %016" PRIx64 ")\n"
        "  this program: %s, %s: %s (layout %016" PRIx64 ")\n"
        "pack again with 'sinter pack SPEC --weights DIR -o FILE' and the spec, --cpu "
        "and quantisation that this program was compiled with",
        f->path, h->model, h->layout, h->layout_hash, model->name, model->target,
        model->spec_summary, model->layout_hash);
}

static SinterStatus check_place(const File *f, const WeightsEntry *e, uint64_t free_from)
{
    if (e->offset > f->bytes || e->bytes > f->bytes - e->offset)
        return message_set(f->m, SINTER_BAD_INPUT,
                           "%s is damaged: tensor %s lies at %" PRIu64 " with %" PRIu64
                           " bytes, the file ends at %" PRIu64,
                           f->path, e->name, e->offset, e->bytes, f->bytes);
    if (e->offset % WEIGHTS_ALIGN)
        return message_set(f->m, SINTER_BAD_INPUT,
                           "%s is damaged: tensor %s at %" PRIu64 " is not aligned to %d bytes",
                           f->path, e->name, e->offset, WEIGHTS_ALIGN);
    if (e->offset < free_from)
        return message_set(f->m, SINTER_BAD_INPUT,
                           "%s is damaged: tensor %s at %" PRIu64 " overlaps what ends at %" PRIu64,
                           f->path, e->name, e->offset, free_from);
    return SINTER_OK;
}

static SinterStatus check_expected(const File *f, const WeightsEntry *e, const SinterTensorInfo *t)
{
    if (strncmp(e->name, t->name, WEIGHTS_NAME - 1) == 0 &&
        strncmp(e->type, t->type, WEIGHTS_NAME - 1) == 0 && e->offset == t->offset &&
        e->bytes == t->bytes)
        return SINTER_OK;
    return message_set(f->m, SINTER_BAD_INPUT,
                       "%s: found tensor %s: %s (%" PRIu64 " bytes at %" PRIu64
                       ") where this program expects %s: %s (%" PRIu64 " bytes at %" PRIu64
                       "); pack again with this program's spec",
                       f->path, e->name, e->type, e->bytes, e->offset, t->name, t->type, t->bytes,
                       t->offset);
}

/* Tensors of the model in the model's order; then, at most once, the tokenizer. */
static SinterStatus check_tensor(const File *f, Weights *w, uint32_t i, const WeightsEntry *e)
{
    uint32_t n_model = (uint32_t)f->model->n_tensors;
    if (i < n_model)
        return check_expected(f, e, &f->model->tensors[i]);
    if (i > n_model || strcmp(e->name, "tokenizer") != 0)
        return message_set(
            f->m, SINTER_BAD_INPUT,
            "%s has a tensor %s that this program does not know; pack again with this "
            "program's spec",
            f->path, e->name);
    w->tokenizer = f->data + e->offset;
    w->tokenizer_bytes = (size_t)e->bytes;
    return SINTER_OK;
}

static SinterStatus check_table(const File *f, Weights *w)
{
    const WeightsHeader *h = &f->header;
    uint64_t end = h->header_bytes;
    for (uint32_t i = 0; i < h->n_tensors; i++) {
        WeightsEntry e = entry_at(f, i);
        if (!is_text(e.name, sizeof e.name) || !is_text(e.type, sizeof e.type))
            return message_set(f->m, SINTER_BAD_INPUT,
                               "%s is damaged: name or type of tensor %" PRIu32 " is not text",
                               f->path, i);
        SinterStatus status = check_place(f, &e, end);
        if (!status)
            status = check_tensor(f, w, i, &e);
        if (status)
            return status;
        end = e.offset + e.bytes;
    }
    if (h->n_tensors < (uint32_t)f->model->n_tensors)
        return message_set(
            f->m, SINTER_BAD_INPUT,
            "%s lacks tensor %s: it has %" PRIu32 " tensors, this program needs %d; pack "
            "again with this program's spec",
            f->path, f->model->tensors[h->n_tensors].name, h->n_tensors, f->model->n_tensors);
    return SINTER_OK;
}

/* ---- checksums ------------------------------------------------------------------------------- */

typedef struct Sums {
    const File *file;
    _Atomic uint32_t next; /* tensor to be taken by the next free thread */
    _Atomic uint32_t bad;  /* lowest damaged tensor, n_tensors when none */
} Sums;

static int all_zero(const uint8_t *p, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        if (p[i])
            return 0;
    return 1;
}

/* The tensor's bytes, and zeros from its end to the next tensor or the end of the file. */
static int tensor_intact(const File *f, uint32_t i)
{
    WeightsEntry e = entry_at(f, i);
    uint64_t next = i + 1 < f->header.n_tensors ? entry_at(f, i + 1).offset : f->bytes;
    return weights_checksum(f->data + e.offset, (size_t)e.bytes) == e.checksum &&
           all_zero(f->data, e.offset + e.bytes, next);
}

static void check_sums(void *arg, int thread)
{
    (void)thread;
    Sums *s = arg;
    uint32_t i;
    while ((i = atomic_fetch_add(&s->next, 1)) < s->file->header.n_tensors) {
        if (tensor_intact(s->file, i))
            continue;
        uint32_t bad = atomic_load(&s->bad);
        while (i < bad && !atomic_compare_exchange_weak(&s->bad, &bad, i))
            ;
    }
}

static SinterStatus check_data(const File *f, Pool *pool)
{
    uint32_t n = f->header.n_tensors;
    uint64_t first = n ? entry_at(f, 0).offset : f->bytes;
    if (!all_zero(f->data, f->header.header_bytes, first))
        return message_set(
            f->m, SINTER_BAD_INPUT,
            "%s is damaged: the bytes between its table and its first tensor are not "
            "zero; copy or pack it again",
            f->path);
    Sums s = {.file = f};
    atomic_init(&s.next, 0);
    atomic_init(&s.bad, n);
    pool_run(pool, check_sums, &s);
    uint32_t bad = atomic_load(&s.bad);
    if (bad == n)
        return SINTER_OK;
    WeightsEntry e = entry_at(f, bad);
    return message_set(f->m, SINTER_BAD_INPUT,
                       "%s is damaged: the checksum of tensor %s (%" PRIu64 " bytes at %" PRIu64
                       ") does not match; copy or pack it again",
                       f->path, e.name, e.bytes, e.offset);
}

/* ---- all of it ------------------------------------------------------------------------------- */

SinterStatus weights_check(Weights *w, const SinterModel *model, const uint8_t *data, size_t bytes,
                           const char *path, int checksums, Pool *pool, Message *m)
{
    File f = {.model = model, .path = path, .data = data, .bytes = bytes, .m = m};
    *w = (Weights){.data = data, .bytes = bytes};
    SinterStatus status = read_header(&f);
    if (!status)
        status = check_layout(&f);
    if (!status)
        status = check_table(&f, w);
    if (!status && checksums)
        status = check_data(&f, pool);
    return status;
}
