/* The AVX-512 set for processors with VNNI: unsigned codes times signed activations, four products
 * a lane and instruction, added up in 32 bits. */
#include "kernels.h"

#define SET(name) name##_avx512vnni
#include "elementwise.h"

#include "avx512.h"

#define CODES_SIGNED(type) 0

FORCE ivec iv_dot(const rmr_elem type, const ivec *code, const int n, const int8_t *q, ivec start)
{
    (void)type;
    UNROLL for (int g = 0; g < n; g++) start =
        _mm512_dpbusd_epi32(start, code[g], iv_four(q + (size_t)4 * g));
    return start;
}

#include "qblocks.h"

const rmr_kernels rmr_kernels_avx512vnni = KERNEL_TABLE("avx512vnni");
