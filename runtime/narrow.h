/* narrow.h - floats as bf16 and f16, to the nearest, ties to even. */
#ifndef SINTER_NARROW_H
#define SINTER_NARROW_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t narrow_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

/* Finite values; what f16 cannot hold becomes infinite. */
static inline uint16_t narrow_f16(float x)
{
    uint32_t sign = signbit(x) ? 0x8000u : 0u;
    double a = fabs((double)x);
    if (a >= 65520)
        return (uint16_t)(sign | 0x7c00u);
    if (a < 0x1p-14)
        return (uint16_t)(sign | (uint32_t)lrint(a * 0x1p24));
    int exponent;
    double fraction = frexp(a, &exponent); /* [0.5, 1) */
    uint32_t mantissa = (uint32_t)lrint(fraction * 2048.0);
    return (uint16_t)(sign | (((uint32_t)(exponent + 14) << 10) + (mantissa - 1024u)));
}

#endif
