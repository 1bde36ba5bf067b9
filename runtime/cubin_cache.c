/* cubin_cache.c - see cubin_cache.h.
 *
 * A reader believes nothing: a file that is cut off, of another key or whose checksum is wrong is
 * as good as none, and is replaced by what is compiled then. */
#include "cubin_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { MAX_PATH = 4096, MAX_IMAGES = 1024 };

/* ---- places ---------------------------------------------------------------------------------- */

/* 0 when there is no place for a cache. */
static int cache_folder(char out[MAX_PATH])
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = xdg && *xdg     ? snprintf(out, MAX_PATH, "%s/sinter/cubins", xdg)
            : home && *home ? snprintf(out, MAX_PATH, "%s/.cache/sinter/cubins", home)
                            : 0;
    return n > 0 && n < MAX_PATH;
}

static int key_path(const CubinKey *key, char out[MAX_PATH])
{
    char folder[MAX_PATH];
    if (!cache_folder(folder))
        return 0;
    int n = snprintf(out, MAX_PATH, "%s/%s-%016" PRIx64 ".cubin", folder, key->name,
                     (uint64_t)XXH3_64bits(key, sizeof *key));
    return n > 0 && n < MAX_PATH;
}

static void make_folders(char *path)
{
    for (char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
        *s = 0;
        mkdir(path, 0777);
        *s = '/';
    }
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static CubinImage image_at(const CubinBlock *b, int i)
{
    CubinImage image;
    memcpy(&image, b->data + (size_t)i * sizeof image, sizeof image);
    return image;
}

const uint8_t *cubin_image(const CubinBlock *b, int i, size_t *bytes)
{
    CubinImage image = image_at(b, i);
    *bytes = (size_t)image.bytes;
    return b->data + image.offset;
}

void cubin_block_free(CubinBlock *b)
{
    free(b->data);
    *b = (CubinBlock){0};
}

static int images_lie_inside(const CubinBlock *b)
{
    if (b->n < 1 || b->n > MAX_IMAGES || b->bytes < (size_t)b->n * sizeof(CubinImage))
        return 0;
    for (int i = 0; i < b->n; i++) {
        CubinImage image = image_at(b, i);
        if (image.offset > b->bytes || image.bytes > b->bytes - image.offset)
            return 0;
    }
    return 1;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int read_all(int fd, void *to, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, (uint8_t *)to + at, n - at);
        if (got == 0 || (got < 0 && errno != EINTR))
            return 0;
        at += got > 0 ? (size_t)got : 0;
    }
    return 1;
}

static uint64_t header_sum(const CubinHeader *h)
{
    return XXH3_64bits(h, offsetof(CubinHeader, header_checksum));
}

static int header_fits(const CubinHeader *h, const CubinKey *key, int fd)
{
    struct stat st;
    return memcmp(h->magic, CUBIN_MAGIC, sizeof h->magic) == 0 &&
           h->header_checksum == header_sum(h) && memcmp(&h->key, key, sizeof *key) == 0 &&
           h->n_images <= MAX_IMAGES && fstat(fd, &st) == 0 &&
           (uint64_t)st.st_size == sizeof *h + h->bytes;
}

static int read_block(int fd, const CubinKey *key, CubinBlock *out)
{
    CubinHeader h;
    if (!read_all(fd, &h, sizeof h) || !header_fits(&h, key, fd))
        return 0;
    void *data = NULL;
    if (posix_memalign(&data, CUBIN_ALIGN, (size_t)h.bytes + 1))
        return 0;
    *out = (CubinBlock){.data = data, .bytes = (size_t)h.bytes, .n = (int)h.n_images};
    if (read_all(fd, out->data, out->bytes) && XXH3_64bits(out->data, out->bytes) == h.checksum &&
        images_lie_inside(out))
        return 1;
    cubin_block_free(out);
    return 0;
}

int cubin_cache_load(const CubinKey *key, CubinBlock *out)
{
    char path[MAX_PATH];
    *out = (CubinBlock){0};
    int fd = key_path(key, path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    int ok = read_block(fd, key, out);
    if (ok)
        futimens(fd, NULL);
    close(fd);
    return ok;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int write_all(int fd, const void *from, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t put = write(fd, (const uint8_t *)from + at, n - at);
        if (put < 0 && errno != EINTR)
            return 0;
        at += put > 0 ? (size_t)put : 0;
    }
    return 1;
}

int cubin_cache_store(const CubinKey *key, const CubinBlock *b)
{
    char path[MAX_PATH], made[MAX_PATH + 16];
    if (!key_path(key, path))
        return 0;
    make_folders(path);
    snprintf(made, sizeof made, "%s.XXXXXX", path);
    int fd = mkstemp(made);
    if (fd < 0)
        return 0;
    CubinHeader h = {.key = *key, .n_images = (uint64_t)b->n, .bytes = b->bytes};
    memcpy(h.magic, CUBIN_MAGIC, sizeof h.magic);
    h.checksum = XXH3_64bits(b->data, b->bytes);
    h.header_checksum = header_sum(&h);
    int ok = write_all(fd, &h, sizeof h) && write_all(fd, b->data, b->bytes) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok && rename(made, path) == 0;
    if (!ok)
        unlink(made);
    return ok;
}
