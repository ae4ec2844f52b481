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

/* The integer types: name in functions, element type. */
#define Q_TYPES(X)                                                                                 \
    X(q8_0, RMR_ELEM_Q8_0)                                                                         \
    X(q4_0, RMR_ELEM_Q4_0)                                                                         \
    X(i4, RMR_ELEM_I4)                                                                             \
    X(iq4_nl, RMR_ELEM_IQ4_NL)                                                                     \
    X(mxfp4, RMR_ELEM_MXFP4)                                                                       \
    X(iq4_xs, RMR_ELEM_IQ4_XS)                                                                     \
    X(q4_k, RMR_ELEM_Q4_K)                                                                         \
    X(q5_k, RMR_ELEM_Q5_K)                                                                         \
    X(q6_k, RMR_ELEM_Q6_K)                                                                         \
    X(q3_k, RMR_ELEM_Q3_K)                                                                         \
    X(q2_k, RMR_ELEM_Q2_K)                                                                         \
    X(q4_1, RMR_ELEM_Q4_1)                                                                         \
    X(q5_0, RMR_ELEM_Q5_0)                                                                         \
    X(q5_1, RMR_ELEM_Q5_1)

/* The integer products that are called qmatmul_q8_0 and so on; a set with others gives its own
 * entry to INTEGER_KERNELS. */
#define Q_ENTRY(name, type) [type] = qmatmul_##name,
#define INTEGER_KERNELS(entry)                                                                     \
    {                                                                                              \
        .quantize = quantize_f32, .matmul = {Q_TYPES(entry)},                                      \
    }

#endif
