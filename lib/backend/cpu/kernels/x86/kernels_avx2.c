/* SPDX-License-Identifier: Apache-2.0 */
/* The AVX2 set (with FMA and F16C). */
#include "kernels.h"

#include "avx2.h"

#define iv_pairs _mm256_maddubs_epi16
#define iv_signed_pairs(code, q)                                                                   \
    _mm256_maddubs_epi16(_mm256_abs_epi8(code), _mm256_sign_epi8(q, code))
#define iv_add16 _mm256_add_epi16
#define iv_fold(a) _mm256_madd_epi16(a, _mm256_set1_epi16(1))

#define iv_mul16 _mm256_madd_epi16
#define iv_sra16 _mm256_srai_epi16

#include "maddubs.h"

#include "elementwise_tmpl.h"
#include "attend_tmpl.h"
#include "matmul_tmpl.h"
#include "qmatmul_tmpl.h"
#include "kv8_attend_tmpl.h"
#include "tables.h"

const rmr_product_kernels rmr_product_avx2 = PRODUCT_KERNELS;
const rmr_attention_kernels rmr_attention_avx2 = ATTENTION_KERNELS;
const rmr_elementwise_kernels rmr_elementwise_avx2 = ELEMENTWISE_KERNELS;
static const rmr_kv8_kernels kv8 = KV8_KERNELS;

const rmr_kernels rmr_kernels_avx2 = {
    .name = "avx2",
    .product = &rmr_product_avx2,
    .integer = &integer_kernels,
    .attention = &rmr_attention_avx2,
    .kv8 = &kv8,
    .elementwise = &rmr_elementwise_avx2,
};
