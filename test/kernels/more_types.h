/* SPDX-License-Identifier: Apache-2.0 */
/* One more element type, for test_more_types.c: T3_1, codes of 3 bits with a scale and a minimum.
 * The two low bits of 32 codes lie in 16 bytes from byte 4 on, the high bits in 4 bytes from
 * byte 20. */
BLOCK_TYPE(RMR_ELEM_T3_1, t3_1, .name = "T3_1", .values = 32, .bytes = 24, .scales = 2,
           .low = {.bits = 2, .at = 4, .unit = 16}, .high = {.bits = 1, .at = 20, .unit = 1})
