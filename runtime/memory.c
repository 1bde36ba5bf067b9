/* memory.c - see memory.h. */
#include "memory.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t at_least_one(size_t bytes)
{
    return bytes == 0 ? 1 : bytes;
}

void *memory_map(size_t bytes)
{
    void *p = mmap(NULL, at_least_one(bytes), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
#ifdef MADV_HUGEPAGE
    madvise(p, at_least_one(bytes), MADV_HUGEPAGE);
#endif
    return p;
}

void memory_unmap(void *p, size_t bytes)
{
    if (p)
        munmap(p, at_least_one(bytes));
}

uint64_t memory_physical(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

/* The number in a file; none where it says "max" or is not there. */
static uint64_t limit_in(const char *path)
{
    unsigned long long n = 0;
    FILE *f = fopen(path, "r");
    int found = f && fscanf(f, "%llu", &n) == 1;
    if (f)
        fclose(f);
    return found ? n : UINT64_MAX;
}

uint64_t memory_limit(void)
{
    static const char *const file[] = {"/sys/fs/cgroup/memory.max",
                                       "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t least = memory_physical();
    for (int i = 0; i < 2; i++) {
        uint64_t limit = limit_in(file[i]);
        least = limit < least ? limit : least;
    }
    return least;
}
