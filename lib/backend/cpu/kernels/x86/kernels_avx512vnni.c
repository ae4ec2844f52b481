/* SPDX-License-Identifier: Apache-2.0 */
/* The AVX-512 set for processors with VNNI: unsigned codes times signed activations, four products
 * a lane and instruction, added up in 32 bits. */
#include "kernels.h"

#include "avx512.h"

#define CODES_SIGNED(type) 0
#define Q_MANY_ROWS 4
#define Q_SIDE_ROWS 8
#define Q_FUSED(type) (rmr_elem_table[type].scale == RMR_SCALE_F16)

FORCE ivec iv_dot(const rmr_elem type, const ivec *code, const int n, const int8_t *q, ivec start)
{
    (void)type;
    UNROLL for (int g = 0; g < n; g++) start =
        _mm512_dpbusd_epi32(start, code[g], iv_four(q + (size_t)4 * g));
    return start;
}

#include "vnni.h"

/* Written out: GCC 12 copies every accumulator of _mm512_dpbusd_epi32 once more in a loop. */
FORCE ivec kv8_add(ivec sum, kv8_by by, kv8_val val)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(by), "v"(val));
    return sum;
}

#define KV8_DOT
typedef int32_t __attribute__((may_alias, aligned(1))) kv8_four;

FORCE ivec kv8_dot(ivec sum, ivec code, const int8_t *p)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0"
            : "+v"(sum)
            : "v"(code), "m"(*(const kv8_four *)(const void *)p));
    return sum;
}

#include "qmatmul_tmpl.h"
#include "kv8_attend_tmpl.h"
#include "tables.h"

static const rmr_kv8_kernels kv8 = KV8_KERNELS;

const rmr_kernels rmr_kernels_avx512vnni = {
    .name = "avx512vnni",
    .product = &rmr_product_avx512,
    .integer = &integer_kernels,
    .attention = &rmr_attention_avx512,
    .kv8 = &kv8,
    .elementwise = &rmr_elementwise_avx512,
};

#ifdef RMR_AMX
/* The same set with AMX for products of many rows. */
#include "amx.h"

const rmr_kernels rmr_kernels_amx = {
    .name = "amx",
    .product = &rmr_product_avx512,
    .integer = &amx_kernels,
    .attention = &rmr_attention_avx512,
    .kv8 = &kv8,
    .elementwise = &rmr_elementwise_avx512,
};
#endif
