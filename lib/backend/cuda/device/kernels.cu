/* SPDX-License-Identifier: Apache-2.0 */
/* All kernels, one module. */
#include "attend.cuh"
#include "attend_latent.cuh"
#include "attend_latent8.cuh"
#include "attend_prompt.cuh"
#include "embed.cuh"
#include "experts.cuh"
#include "prepare.cuh"
#include "product.cuh"
#include "product_f32.cuh"
#include "product_many.cuh"
#include "rows.cuh"

PRODUCT(bf16, RMR_ELEM_BF16)
PRODUCT(f16, RMR_ELEM_F16)
PRODUCT(f8, RMR_ELEM_F8)
PRODUCT(q8_0, RMR_ELEM_Q8_0)
PRODUCT(q4_0, RMR_ELEM_Q4_0)
PRODUCT(i4, RMR_ELEM_I4)
PRODUCT(iq4_nl, RMR_ELEM_IQ4_NL)
PRODUCT(mxfp4, RMR_ELEM_MXFP4)
PRODUCT(iq4_xs, RMR_ELEM_IQ4_XS)
PRODUCT(q4_k, RMR_ELEM_Q4_K)
PRODUCT(q5_k, RMR_ELEM_Q5_K)
PRODUCT(q6_k, RMR_ELEM_Q6_K)
PRODUCT(q3_k, RMR_ELEM_Q3_K)
PRODUCT(q2_k, RMR_ELEM_Q2_K)
PRODUCT(q4_1, RMR_ELEM_Q4_1)
PRODUCT(q5_0, RMR_ELEM_Q5_0)
PRODUCT(q5_1, RMR_ELEM_Q5_1)

MANY(bf16, RMR_ELEM_BF16)
MANY(f8, RMR_ELEM_F8)
MANY(q8_0, RMR_ELEM_Q8_0)
MANY(q4_0, RMR_ELEM_Q4_0)
MANY(i4, RMR_ELEM_I4)
MANY(iq4_nl, RMR_ELEM_IQ4_NL)
MANY(mxfp4, RMR_ELEM_MXFP4)
MANY(iq4_xs, RMR_ELEM_IQ4_XS)
MANY(q4_k, RMR_ELEM_Q4_K)
MANY(q5_k, RMR_ELEM_Q5_K)
MANY(q6_k, RMR_ELEM_Q6_K)
MANY(q3_k, RMR_ELEM_Q3_K)
MANY(q4_1, RMR_ELEM_Q4_1)
MANY(q5_0, RMR_ELEM_Q5_0)
MANY(q5_1, RMR_ELEM_Q5_1)
