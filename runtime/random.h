/* random.h - random numbers that depend on a seed and a counter alone. */
#ifndef SINTER_RANDOM_H
#define SINTER_RANDOM_H

#include <stdint.h>

/* One of 2^64 well mixed numbers for each x (the finaliser of splitmix64). */
static inline uint64_t random_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The next number of the sequence that *state runs through. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t x = random_mix(*state);
    *state += 0x9e3779b97f4a7c15u;
    return x;
}

/* [0, 1) with 53 bits. */
static inline double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

#endif
