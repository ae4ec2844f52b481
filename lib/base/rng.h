/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler's generator: xoshiro256++ (Blackman and Vigna 2019) seeded through splitmix64, so
 * that any 64-bit seed, 0 included, gives a good state. Integer arithmetic only: the same stream on
 * every machine. */
#ifndef RMR_RNG_H
#define RMR_RNG_H

#include <stdint.h>

typedef struct rmr_rng {
    uint64_t s[4];
} rmr_rng;

static inline uint64_t rmr_rng_splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline void rmr_rng_seed(rmr_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) r->s[i] = rmr_rng_splitmix(&seed);
}

static inline uint64_t rmr_rng_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline uint64_t rmr_rng_next(rmr_rng *r)
{
    uint64_t *const s = r->s;
    const uint64_t out = rmr_rng_rotl(s[0] + s[3], 23) + s[0];
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rmr_rng_rotl(s[3], 45);
    return out;
}

/* Uniform in [0, 1): the top 53 bits, exact. */
static inline double rmr_rng_double(rmr_rng *r)
{
    return (double)(rmr_rng_next(r) >> 11) * 0x1p-53;
}

#endif
