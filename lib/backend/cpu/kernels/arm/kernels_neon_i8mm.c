/* SPDX-License-Identifier: Apache-2.0 */
/* The NEON set for processors with dot products and products of small matrices of bytes (smmla, of
 * Armv8.6). */
#include "kernels.h"

#include "neon.h"
#include "sdot.h"

#include "qmatmul_tmpl.h"
#include "kv8_attend_tmpl.h"
#include "smmla.h"
#include "tables.h"

static const rmr_kv8_kernels kv8 = KV8_KERNELS;

const rmr_kernels rmr_kernels_neon_i8mm = {
    .name = "neon_i8mm",
    .product = &rmr_product_neon,
    .integer = &mm_kernels,
    .attention = &rmr_attention_neon,
    .kv8 = &kv8,
    .elementwise = &rmr_elementwise_neon,
};
