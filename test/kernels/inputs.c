/* See inputs.h. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "inputs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t rng_next(rng *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return r->state >> 8;
}

void fill_f32(rng *r, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t v = rng_next(r);
        const uint32_t exp = 113 + (uint32_t)(v >> 52) % 16;
        const uint32_t u = (uint32_t)(v & 0x807fffff) | exp << 23;
        memcpy(to + i, &u, 4);
        if ((v >> 40 & 63) == 0) to[i] = 0.0f;
    }
}

void fill_weights(rng *r, void *to, rmr_elem type, size_t bytes)
{
    uint16_t *const half = to;
    if (type == RMR_ELEM_F32) {
        fill_f32(r, to, bytes / 4);
        return;
    }
    for (size_t i = 0; i < bytes / 2; i++) {
        const uint64_t v = rng_next(r);
        const uint32_t exp = (uint32_t)(v >> 32) % 16;
        half[i] =
            (uint16_t)(type == RMR_ELEM_BF16 ? (v & 0x807f) | (113 + exp) << 7
                                             : (v & 0x83ff) | exp << 10); /* with subnormals */
    }
}

void sprinkle(rng *r, float *to, size_t n)
{
    static const uint32_t special[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345,
                                       0x7f800001, 0x00000000, 0x80000000, 0x00000001,
                                       0x807fffff, 0x7f7fffff, 0xff7fffff, 0x42b17218,
                                       0xc2aeac4f, 0x3f800000, 0x00800000, 0x3effffff};
    for (size_t i = 0; i < n; i++) {
        const uint64_t v = rng_next(r);
        if ((v >> 30 & 7) == 0) memcpy(to + i, special + (v >> 40 & 15), 4);
    }
}

void *guarded(int arena, size_t bytes)
{
    enum { SIZE = 1 << 22 };
    static uint8_t *end[2];
    if (!end[arena]) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *const p =
            mmap(NULL, SIZE + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED || mprotect(p + SIZE, page, PROT_NONE) != 0) abort();
        end[arena] = p + SIZE;
    }
    if (bytes > SIZE) abort();
    return end[arena] - bytes;
}
