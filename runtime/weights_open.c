/* weights_open.c - the weights file in memory: mapped, or read into huge pages.
 *
 * Mapped files have pages of 4 KiB. A decode step reads all of them, and translating their
 * addresses is a tenth of its time (docs/decode-notes.md). So where every byte is looked at anyway,
 * for its checksum, and a copy takes a fair part of the memory only, the file is read into huge
 * pages by all threads; that takes as long as faulting its pages in. A mapped file is for what is
 * larger, for weights that are copied to a GPU, and for starts without checksums. */
#include "weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

enum {
    CHUNK = 2 << 20, /* one huge page: cleared and filled by the same thread */
    ROOM_PART = 4,   /* a copy may take a quarter of the memory */
};

static SinterStatus open_file(const char *path, int *fd, size_t *bytes, Message *m)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe: no wait */
    if (*fd < 0 || fstat(*fd, &st) != 0)
        return message_set(m, SINTER_BAD_INPUT, "cannot open the weights %s: %s", path,
                           strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size <= 0)
        return message_set(m, SINTER_BAD_INPUT, "%s is %s, not a weights file", path,
                           S_ISREG(st.st_mode) ? "empty" : "not a regular file");
    *bytes = (size_t)st.st_size;
    return SINTER_OK;
}

/* ---- a copy ---------------------------------------------------------------------------------- */

typedef struct Copy {
    int fd;
    uint8_t *data;
    size_t bytes;
    _Atomic size_t next; /* chunk to be taken by the next free thread */
    _Atomic int failed;
} Copy;

static int read_all(int fd, uint8_t *to, size_t bytes, size_t at)
{
    while (bytes > 0) {
        ssize_t n = pread(fd, to, bytes, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        to += n;
        at += (size_t)n;
        bytes -= (size_t)n;
    }
    return 1;
}

static void copy_chunks(void *arg, int thread)
{
    (void)thread;
    Copy *c = arg;
    size_t at;
    while ((at = atomic_fetch_add(&c->next, 1) * CHUNK) < c->bytes && !atomic_load(&c->failed)) {
        size_t n = c->bytes - at < CHUNK ? c->bytes - at : CHUNK;
        if (!read_all(c->fd, c->data + at, n, at))
            atomic_store(&c->failed, 1);
    }
}

/* NULL where there is no memory for it, or the file cannot be read: it is mapped then. */
static void *copy_file(int fd, size_t bytes, Pool *pool)
{
    if (bytes > memory_limit() / ROOM_PART)
        return NULL;
    Copy c = {.fd = fd, .data = memory_map(bytes), .bytes = bytes};
    if (!c.data)
        return NULL;
    pool_run(pool, copy_chunks, &c);
    if (!atomic_load(&c.failed))
        return c.data;
    memory_unmap(c.data, bytes);
    return NULL;
}

/* ---- open and close -------------------------------------------------------------------------- */

static SinterStatus map_file(const char *path, int fd, size_t bytes, void **data, Message *m)
{
    *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (*data == MAP_FAILED)
        return message_set(m, SINTER_ENVIRONMENT, "cannot map the %zu bytes of %s: %s", bytes, path,
                           strerror(errno));
    madvise(*data, bytes, MADV_WILLNEED);
    return SINTER_OK;
}

SinterStatus weights_open(Weights *w, const SinterModel *model, const char *path, int checksums,
                          Pool *pool, Message *m)
{
    int fd = -1;
    size_t bytes = 0;
    *w = (Weights){0};
    SinterStatus status = open_file(path, &fd, &bytes, m);
    void *data = !status && checksums && !model->gpu ? copy_file(fd, bytes, pool) : NULL;
    if (!status && !data)
        status = map_file(path, fd, bytes, &data, m);
    if (fd >= 0)
        close(fd);
    if (status)
        return status;
    status = weights_check(w, model, data, bytes, path, checksums, pool, m);
    if (status)
        weights_close(w);
    return status;
}

void weights_close(Weights *w)
{
    if (w->data)
        munmap((void *)(uintptr_t)w->data, w->bytes);
    *w = (Weights){0};
}
