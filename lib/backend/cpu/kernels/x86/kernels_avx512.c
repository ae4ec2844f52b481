/* SPDX-License-Identifier: Apache-2.0 */
/* The AVX-512 set (F, BW, VL, DQ with AVX2, FMA and F16C), for processors without VNNI. */
#include "kernels.h"

#include "avx512.h"

static inline ivec iv_pairs(ivec code, ivec q)
{
    return _mm512_maddubs_epi16(code, q);
}

static inline ivec iv_signed_pairs(ivec code, ivec q)
{
    const __mmask64 negative = _mm512_movepi8_mask(code);
    return _mm512_maddubs_epi16(_mm512_abs_epi8(code),
                                _mm512_mask_sub_epi8(q, negative, _mm512_setzero_si512(), q));
}

#define iv_add16 _mm512_add_epi16
#define iv_fold(a) _mm512_madd_epi16(a, _mm512_set1_epi16(1))

#define iv_mul16 _mm512_madd_epi16
#define iv_sra16 _mm512_srai_epi16

#include "maddubs.h"
#define Q_LINES 512

#include "elementwise_tmpl.h"
#include "attend_tmpl.h"
#include "matmul_tmpl.h"
#include "qmatmul_tmpl.h"
#include "kv8_attend_tmpl.h"
#include "tables.h"

const rmr_product_kernels rmr_product_avx512 = PRODUCT_KERNELS;
const rmr_attention_kernels rmr_attention_avx512 = ATTENTION_KERNELS;
const rmr_elementwise_kernels rmr_elementwise_avx512 = ELEMENTWISE_KERNELS;
static const rmr_kv8_kernels kv8 = KV8_KERNELS;

const rmr_kernels rmr_kernels_avx512 = {
    .name = "avx512",
    .product = &rmr_product_avx512,
    .integer = &integer_kernels,
    .attention = &rmr_attention_avx512,
    .kv8 = &kv8,
    .elementwise = &rmr_elementwise_avx512,
};
