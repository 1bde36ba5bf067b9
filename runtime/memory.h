/* memory.h - large zeroed buffers straight from the system: reserved lazily, in huge pages where
 * the system has them, so that reading gigabytes does not wait for address translation. */
#ifndef SINTER_MEMORY_H
#define SINTER_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed, page-aligned; NULL when the address space or the system's limit is used up. Pages are
 * taken at first touch. bytes may be 0 (a valid pointer comes back). */
void *memory_map(size_t bytes);
void memory_unmap(void *p, size_t bytes);
/* Bytes of physical memory of this machine (0: not known). */
uint64_t memory_physical(void);
/* Bytes that this process may have at most: those, or less by its cgroup's limit (0: not known). */
uint64_t memory_limit(void);

#endif
