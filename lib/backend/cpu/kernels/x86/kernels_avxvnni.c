/* SPDX-License-Identifier: Apache-2.0 */
/* The AVX2 set for processors with AVX-VNNI and without AVX-512: unsigned codes times signed
 * activations, four products a lane and instruction, added up in 32 bits. */
#include "kernels.h"

#include "avx2.h"

#define CODES_SIGNED(type) 0
#define Q_MANY_ROWS 4

FORCE ivec iv_dot(const rmr_elem type, const ivec *code, const int n, const int8_t *q, ivec start)
{
    (void)type;
    UNROLL for (int g = 0; g < n; g++) start =
        _mm256_dpbusd_avx_epi32(start, code[g], iv_four(q + (size_t)4 * g));
    return start;
}

#include "vnni.h"

FORCE ivec kv8_add(ivec sum, kv8_by by, kv8_val val)
{
    return _mm256_dpbusd_avx_epi32(sum, by, val);
}

#include "qmatmul_tmpl.h"
#include "kv8_attend_tmpl.h"
#include "tables.h"

static const rmr_kv8_kernels kv8 = KV8_KERNELS;

const rmr_kernels rmr_kernels_avxvnni = {
    .name = "avxvnni",
    .product = &rmr_product_avx2,
    .integer = &integer_kernels,
    .attention = &rmr_attention_avx2,
    .kv8 = &kv8,
    .elementwise = &rmr_elementwise_avx2,
};
