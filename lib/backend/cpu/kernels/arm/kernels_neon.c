/* SPDX-License-Identifier: Apache-2.0 */
/* The NEON set: every AArch64 processor has it. */
#include "kernels.h"

#include "neon.h"

/* Groups whose products, at most 127 times the largest value each, add up in 16 bits. */
FORCE int fit_groups(const rmr_elem type)
{
    const rmr_elem_format *const f = &rmr_elem_table[type];
    const int most = f->offset != 0 ? f->offset : (1 << (f->low.bits + f->high.bits)) - 1;
    const int n = 32767 / (127 * most);
    return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

FORCE ivec iv_dot(const rmr_elem type, const ivec *code, const int n, const int8_t *q, ivec start)
{
    const int fit = fit_groups(type) < n ? fit_groups(type) : n;
    int32x4_t sum = vreinterpretq_s32_s8(start);
    UNROLL for (int g = 0; g < n; g += fit)
    {
        int16x8_t low = vdupq_n_s16(0), high = low;
        UNROLL for (int i = g; i < g + fit; i++)
        {
            int32_t four;
            memcpy(&four, q + (size_t)4 * (size_t)i, 4);
            const ivec x = bytes_of(vdupq_n_s32(four));
            low = vmlal_s8(low, vget_low_s8(code[i]), vget_low_s8(x));
            high = vmlal_high_s8(high, code[i], x);
        }
        sum = vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
    }
    return bytes_of(sum);
}

#include "elementwise_tmpl.h"
#include "attend_tmpl.h"
#include "matmul_tmpl.h"
#include "qmatmul_tmpl.h"
#include "kv8_attend_tmpl.h"
#include "tables.h"

const rmr_product_kernels rmr_product_neon = PRODUCT_KERNELS;
const rmr_attention_kernels rmr_attention_neon = ATTENTION_KERNELS;
const rmr_elementwise_kernels rmr_elementwise_neon = ELEMENTWISE_KERNELS;
static const rmr_kv8_kernels kv8 = KV8_KERNELS;

const rmr_kernels rmr_kernels_neon = {
    .name = "neon",
    .product = &rmr_product_neon,
    .integer = &integer_kernels,
    .attention = &rmr_attention_neon,
    .kv8 = &kv8,
    .elementwise = &rmr_elementwise_neon,
};
