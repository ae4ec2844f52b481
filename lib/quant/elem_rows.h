/* SPDX-License-Identifier: Apache-2.0 */
/* The element types, a row each: the one place that says how the values of a type are coded and
 * where the bits lie in a block (elem_format.h has the fields). Tiles, decoding, checking, encoding
 * and kernels go by these rows; what they mean was written down anew in test/kernels/truth_quant.c.
 *
 * PLAIN_TYPE(id, fields...) is a type whose products take floats, BLOCK_TYPE(id, its name in
 * functions, fields...) one whose products take activations of 8 bits. The including file defines
 * what it wants of both. A new row goes to the end. */
#ifndef PLAIN_TYPE
#define PLAIN_TYPE(...)
#endif
#ifndef BLOCK_TYPE
#define BLOCK_TYPE(...)
#endif

PLAIN_TYPE(RMR_ELEM_BF16, .name = "BF16", .values = 1, .bytes = 2)
PLAIN_TYPE(RMR_ELEM_F16, .name = "F16", .values = 1, .bytes = 2)
PLAIN_TYPE(RMR_ELEM_F32, .name = "F32", .values = 1, .bytes = 4)
PLAIN_TYPE(RMR_ELEM_F8, .name = "F8_E4M3", .values = 1, .bytes = 1)

BLOCK_TYPE(RMR_ELEM_Q8_0, q8_0, .name = "Q8_0", .values = 32, .bytes = 34, .scales = 1,
           .low = {.bits = 8, .at = 2, .unit = 32}, .offset = 128)
BLOCK_TYPE(RMR_ELEM_Q4_0, q4_0, .name = "Q4_0", .values = 32, .bytes = 18, .scales = 1,
           .low = {.bits = 4, .at = 2, .unit = 16}, .offset = 8)
BLOCK_TYPE(RMR_ELEM_I4, i4, .name = "I4", .values = 32, .bytes = 18, .scales = 1,
           .scale = RMR_SCALE_BF16, .low = {.bits = 4, .at = 2, .unit = 16}, .offset = 8)
BLOCK_TYPE(RMR_ELEM_IQ4_NL, iq4_nl, .name = "IQ4_NL", .values = 32, .bytes = 18, .scales = 1,
           .low = {.bits = 4, .at = 2, .unit = 16}, RMR_BOOK(iq4), .offset = 128)
BLOCK_TYPE(RMR_ELEM_MXFP4, mxfp4, .name = "MXFP4", .values = 32, .bytes = 17, .scales = 1,
           .scale = RMR_SCALE_E8M0, .low = {.bits = 4, .at = 1, .unit = 16}, RMR_BOOK(e2m1),
           .offset = 16)
BLOCK_TYPE(RMR_ELEM_IQ4_XS, iq4_xs, .name = "IQ4_XS", .values = 256, .bytes = 136, .scales = 1,
           .low = {.bits = 4, .at = 8, .unit = 16}, RMR_BOOK(iq4), .offset = 128, .subs = 8,
           .sub = {.bits = 4, .at = 4, .unit = 1}, .sub_high = {.bits = 2, .at = 2, .unit = 1},
           .sub_offset = 32)
/* Q4_K, Q5_K: 8 six-bit scales and 8 minima in 12 bytes. The low four bits of the last four scales
 * and minima share the last four bytes. */
#define RMR_K4_SUBS                                                                                \
    .subs = 8, .sub = {.bits = 4, .at = 4, .unit = 4, .at2 = 12},                                  \
    .sub_high = {.bits = 2, .at = 4, .unit = 4, .shift = 4},                                       \
    .min = {.bits = 4, .at = 8, .unit = 4, .at2 = 12, .shift2 = 4},                                \
    .min_high = {.bits = 2, .at = 8, .unit = 4, .shift = 4}
BLOCK_TYPE(RMR_ELEM_Q4_K, q4_k, .name = "Q4_K", .values = 256, .bytes = 144, .scales = 2,
           .low = {.bits = 4, .at = 16, .unit = 32}, RMR_K4_SUBS)
BLOCK_TYPE(RMR_ELEM_Q5_K, q5_k, .name = "Q5_K", .values = 256, .bytes = 176, .scales = 2,
           .low = {.bits = 4, .at = 48, .unit = 32}, .high = {.bits = 1, .at = 16, .unit = 32},
           RMR_K4_SUBS)
BLOCK_TYPE(RMR_ELEM_Q6_K, q6_k, .name = "Q6_K", .values = 256, .bytes = 210, .scales = 1, .d = 208,
           .low = {.bits = 4, .at = 0, .unit = 64}, .high = {.bits = 2, .at = 128, .unit = 32},
           .offset = 32, .subs = 16, .sub = {.bits = 8, .at = 192, .unit = 16})
BLOCK_TYPE(RMR_ELEM_Q3_K, q3_k, .name = "Q3_K", .values = 256, .bytes = 110, .scales = 1, .d = 108,
           .low = {.bits = 2, .at = 32, .unit = 32}, .high = {.bits = 1, .at = 0, .unit = 32},
           .offset = 4, .subs = 16, .sub = {.bits = 4, .at = 96, .unit = 8},
           .sub_high = {.bits = 2, .at = 104, .unit = 4}, .sub_offset = 32)
BLOCK_TYPE(RMR_ELEM_Q2_K, q2_k, .name = "Q2_K", .values = 256, .bytes = 84, .scales = 2, .d = 80,
           .low = {.bits = 2, .at = 16, .unit = 32}, .subs = 16,
           .sub = {.bits = 4, .at = 0, .unit = 16},
           .min = {.bits = 4, .at = 0, .unit = 16, .shift = 4})
BLOCK_TYPE(RMR_ELEM_Q4_1, q4_1, .name = "Q4_1", .values = 32, .bytes = 20, .scales = 2,
           .low = {.bits = 4, .at = 4, .unit = 16})
BLOCK_TYPE(RMR_ELEM_Q5_0, q5_0, .name = "Q5_0", .values = 32, .bytes = 22, .scales = 1,
           .low = {.bits = 4, .at = 6, .unit = 16}, .high = {.bits = 1, .at = 2, .unit = 1},
           .offset = 16)
BLOCK_TYPE(RMR_ELEM_Q5_1, q5_1, .name = "Q5_1", .values = 32, .bytes = 24, .scales = 2,
           .low = {.bits = 4, .at = 8, .unit = 16}, .high = {.bits = 1, .at = 4, .unit = 1})

#ifdef RMR_MORE_TYPES /* rows of a test */
#include RMR_MORE_TYPES
#endif
#undef PLAIN_TYPE
#undef BLOCK_TYPE
#undef RMR_K4_SUBS
