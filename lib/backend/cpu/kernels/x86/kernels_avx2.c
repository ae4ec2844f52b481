/* The AVX2 set (with FMA and F16C). */
#include "kernels.h"

#define SET(name) name##_avx2
#define SHARED(name) name##_avx2
#include "elementwise.h"

#include "avx2.h"
#include "attend_tmpl.h"
#include "matmul_tmpl.h"

#define iv_pairs _mm256_maddubs_epi16
#define iv_signed_pairs(code, q)                                                                   \
    _mm256_maddubs_epi16(_mm256_abs_epi8(code), _mm256_sign_epi8(q, code))
#define iv_add16 _mm256_add_epi16
#define iv_fold(a) _mm256_madd_epi16(a, _mm256_set1_epi16(1))

#define iv_mul16 _mm256_madd_epi16
#define iv_sra16 _mm256_srai_epi16

#include "maddubs.h"
#include "qmatmul_tmpl.h"

#include "kv8_cache.h"

#include "kv8_attend_tmpl.h"

const rmr_kernels rmr_kernels_avx2 = KERNEL_TABLE("avx2");
