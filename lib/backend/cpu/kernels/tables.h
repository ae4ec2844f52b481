/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the families of a set. The definition (ref/) and the templates (tmpl/) have the
 * same names for the same kernels; a file that includes one of them has the table of its functions
 * by the macro here. */

#ifndef RMR_TABLES_H
#define RMR_TABLES_H

#define PRODUCT_KERNELS                                                                            \
    {                                                                                              \
        .matmul = {                                                                                \
            [RMR_ELEM_BF16] = matmul_bf16,                                                         \
            [RMR_ELEM_F16] = matmul_f16,                                                           \
            [RMR_ELEM_F32] = matmul_f32,                                                           \
            [RMR_ELEM_F8] = matmul_f8,                                                             \
        },                                                                                         \
    }

#define ATTENTION_KERNELS                                                                          \
    {                                                                                              \
        .pairs = pairs_f32, .scores_bf16 = scores_bf16, .scores_f32 = scores_f32,                  \
        .wsum_bf16 = wsum_bf16, .wsum_f32 = wsum_f32,                                              \
    }

#define KV8_KERNELS                                                                                \
    {                                                                                              \
        .put = kv8_put, .get = kv8_get, .query = kv8_query, .attend = kv8_attend,                  \
    }

#define ELEMENTWISE_KERNELS                                                                        \
    {                                                                                              \
        .norm = norm_f32, .rope = rope_f32, .rope_half = rope_half_f32, .silu_mul = silu_mul_f32,  \
        .sigmoid = sigmoid_f32, .max = max_f32, .exp_sum = exp_sum_f32, .scale = scale_f32,        \
        .add = add_f32, .madd = madd_f32, .merge = merge_f32, .to_bf16 = to_bf16,                  \
        .from_bf16 = from_bf16, .from_f16 = from_f16,                                              \
    }

#endif
