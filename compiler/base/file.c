/* file.c - whole files in and out, folders, and the few path functions that the compiler needs. */
#include "compiler/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PATH = 4096 };

/* Reads to the end of fd into an arena block that grows; `hint` is the expected size. */
static char *read_all(Arena *a, int fd, size_t hint, size_t *n)
{
    size_t cap = hint + 1;
    char *text = arena_alloc(a, cap);
    *n = 0;
    for (;;) {
        ssize_t got = read(fd, text + *n, cap - *n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return NULL;
        }
        if (got == 0) {
            break;
        }
        *n += (size_t)got;
        if (*n == cap) {
            char *grown = arena_alloc_array(a, cap, 2);
            memcpy(grown, text, cap);
            text = grown;
            cap *= 2;
        }
    }
    text[*n] = '\0';
    return text;
}

char *file_read(Arena *a, Diag *d, const char *path, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        diag_error(d, (Span){0}, "cannot read '%s': %s", path, strerror(errno));
        return NULL;
    }
    struct stat st;
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
    char *text = read_all(a, fd, regular ? (size_t)st.st_size : 0, n);
    if (text == NULL) {
        diag_error(d, (Span){0}, "cannot read '%s': %s", path, strerror(errno));
    }
    close(fd);
    return text;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool holds_exactly(const char *path, const char *data, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    char chunk[16384];
    size_t at = 0;
    ssize_t got;
    while ((got = read(fd, chunk, sizeof chunk)) > 0) {
        if ((size_t)got > n - at || memcmp(chunk, data + at, (size_t)got) != 0) {
            break;
        }
        at += (size_t)got;
    }
    close(fd);
    return got == 0 && at == n;
}

static bool write_all(int fd, const char *data, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t put = write(fd, data + at, n - at);
        if (put < 0 && errno != EINTR) {
            return false;
        }
        at += put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* A new file beside `path`: the umask applies, and no other process has the same name. */
static int open_temporary(const char *path, char tmp[MAX_PATH])
{
    for (int attempt = 0; attempt < 100; attempt++) {
        int len = snprintf(tmp, MAX_PATH, "%s.%ld.%d.tmp", path, (long)getpid(), attempt);
        if (len >= MAX_PATH) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) {
            return fd;
        }
    }
    return -1;
}

/* False with errno set, and nothing left behind. */
static bool replace_file(const char *path, const char *data, size_t n, const struct stat *old,
                         bool durable)
{
    char tmp[MAX_PATH];
    int fd = open_temporary(path, tmp);
    if (fd < 0) {
        return false;
    }
    bool ok = (old == NULL || fchmod(fd, old->st_mode & 0777) == 0) && write_all(fd, data, n) &&
              (!durable || fsync(fd) == 0);
    int why = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    if (ok && rename(tmp, path) == 0) {
        return true;
    }
    why = ok ? errno : why;
    unlink(tmp);
    errno = why;
    return false;
}

/* A device or a pipe (-o /dev/stdout) is written to, never replaced. */
static bool write_through(const char *path, const char *data, size_t n)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool ok = write_all(fd, data, n);
    return close(fd) == 0 && ok;
}

static bool write_file(Diag *d, const char *path, const char *data, size_t n, bool durable)
{
    struct stat st;
    bool exists = stat(path, &st) == 0;
    bool ok;
    if (exists && S_ISREG(st.st_mode)) {
        ok = ((size_t)st.st_size == n && holds_exactly(path, data, n)) ||
             replace_file(path, data, n, &st, durable);
    } else if (exists) {
        ok = write_through(path, data, n);
    } else {
        ok = replace_file(path, data, n, NULL, durable);
    }
    return ok || diag_env_error(d, "cannot write '%s': %s", path, strerror(errno));
}

bool file_write(Diag *d, const char *path, const char *data, size_t n)
{
    return write_file(d, path, data, n, true);
}

bool file_write_again(Diag *d, const char *path, const char *data, size_t n)
{
    return write_file(d, path, data, n, false);
}

bool file_make_dirs(Diag *d, const char *path)
{
    char partial[MAX_PATH];
    size_t n = strlen(path);
    if (n >= MAX_PATH) {
        return diag_env_error(d, "cannot make folder '%s': %s", path, strerror(ENAMETOOLONG));
    }
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, 0777) != 0 && !file_is_dir(partial)) {
            return diag_env_error(d, "cannot make folder '%s': %s", partial, strerror(errno));
        }
    }
    return true;
}

char *path_join(Arena *a, const char *dir, const char *name)
{
    size_t n = strlen(dir);
    if (n == 0 || name[0] == '/') {
        return arena_strdup(a, name);
    }
    return arena_printf(a, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

char *path_stem(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot != name ? arena_strndup(a, name, (size_t)(dot - name))
                                      : arena_strdup(a, name);
}

char *path_dir(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return arena_strdup(a, ".");
    }
    return slash == path ? arena_strdup(a, "/") : arena_strndup(a, path, (size_t)(slash - path));
}
