/* Exact decoding of rows (facts sections 6 and 9.2). */
#include <string.h>

#include "half.h"
#include "quant.h"

typedef void decode_fn(float *out, const unsigned char *row, uint32_t cols);

static void decode_bf16(float *out, const unsigned char *row, uint32_t cols)
{
    for (uint32_t i = 0; i < cols; i++) {
        uint16_t h;
        memcpy(&h, row + 2 * (size_t)i, 2);
        out[i] = rmr_bf16_to_f32(h);
    }
}

static void decode_f16(float *out, const unsigned char *row, uint32_t cols)
{
    for (uint32_t i = 0; i < cols; i++) {
        uint16_t h;
        memcpy(&h, row + 2 * (size_t)i, 2);
        out[i] = rmr_f16_to_f32(h);
    }
}

static void decode_f32(float *out, const unsigned char *row, uint32_t cols)
{
    memcpy(out, row, (size_t)cols * 4);
}

static decode_fn *const decoders[RMR_ELEM_COUNT] = {
    [RMR_ELEM_BF16] = decode_bf16, [RMR_ELEM_F16] = decode_f16, [RMR_ELEM_F32] = decode_f32};

void rmr_row_decode(rmr_elem e, float *out, const void *row, uint32_t cols)
{
    decoders[e](out, row, cols);
}
