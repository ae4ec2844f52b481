/* The AVX-512 set (F, BW, VL, DQ with AVX2, FMA and F16C), for processors without VNNI. */
#include "kernels.h"

#define SET(name) name##_avx512
#define SHARED(name) name##_avx512
#include "elementwise.h"

#include "avx512.h"
#include "attend_tmpl.h"
#include "matmul_tmpl.h"

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
#include "qmatmul_tmpl.h"

#include "kv8_cache.h"

#include "kv8_attend_tmpl.h"

const rmr_kernels rmr_kernels_avx512 = KERNEL_TABLE("avx512");
