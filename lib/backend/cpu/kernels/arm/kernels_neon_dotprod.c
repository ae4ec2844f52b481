/* SPDX-License-Identifier: Apache-2.0 */
/* The NEON set for processors with dot products (sdot, of Armv8.2): four products a lane and
 * instruction, the activations taken from a lane of 16 bytes. */
#include "kernels.h"

#include "neon.h"
#include "sdot.h"

#include "qmatmul_tmpl.h"
#include "kv8_attend_tmpl.h"
#include "tables.h"

static const rmr_kv8_kernels kv8 = KV8_KERNELS;

const rmr_kernels rmr_kernels_neon_dotprod = {
    .name = "neon_dotprod",
    .product = &rmr_product_neon,
    .integer = &integer_kernels,
    .attention = &rmr_attention_neon,
    .kv8 = &kv8,
    .elementwise = &rmr_elementwise_neon,
};
