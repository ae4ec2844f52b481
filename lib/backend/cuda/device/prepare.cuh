/* SPDX-License-Identifier: Apache-2.0 */
/* Activations in the forms that products take (args.h). A prepared row is 32 bytes for each step of
 * the matrix instruction (16 columns of 16 bits, 32 of 8 bits), in which lane t of four finds its 8
 * bytes; columns behind the last one are zero up to the end of the last granule. */
#ifndef RMR_CUDA_PREPARE_CUH
#define RMR_CUDA_PREPARE_CUH

#include "prelude.cuh"

/* Byte of column c in a prepared row. */
DEV uint32_t form_place(rmr_gpu_form form, uint32_t c)
{
    if (form == RMR_GPU_QUADS || form == RMR_GPU_PLAIN) return 2 * c;
    if (form == RMR_GPU_INT8) return c / 32 * 32 + c % 16 / 4 * 8 + c % 32 / 16 * 4 + c % 4;
    return c / 16 * 32 + c % 8 / 2 * 8 + c % 16 / 8 * 4 + c % 2 * 2;
}

/* Largest of |x| as bits over the lanes whose numbers differ in the bits below `lanes`. */
DEV uint32_t top_of(uint32_t top, uint32_t lanes)
{
    for (uint32_t o = lanes / 2; o > 0; o /= 2) {
        const uint32_t w = __shfl_xor_sync(~0u, top, (int)o);
        top = w > top ? w : top;
    }
    return top;
}

DEV uint32_t top_bits_of(const float *x)
{
    uint32_t top = 0;
    for (int i = 0; i < 4; i++) {
        const uint32_t u = rmr_bits_of(x[i]) & 0x7fffffff;
        top = u > top ? u : top;
    }
    return top;
}

/* Four columns to 8 bits: kernels.h, "Integer products". Eight lanes have a run; those that keep
 * nothing take part in the exchange between lanes. */
DEV void put_int8(uint8_t *row, float *scales, uint32_t c, const float *x, bool keep)
{
    const uint32_t top = top_of(top_bits_of(x), 8);
    const float amax = rmr_float_of(top);
    const bool finite = top < 0x7f800000, some = finite && amax >= 0x1p-90f;
    const float scale = some     ? amax / 127.0f
                        : finite ? 0.0f
                                 : rmr_float_of(0x7fc00000),
                inverse = some ? 127.0f / amax : 0.0f;
    uint32_t w = 0;
    int32_t sum = 0;
    for (int i = 0; i < 4; i++) {
        const uint32_t t = rmr_bits_of(x[i] * inverse + 0x1.8p23f);
        const int32_t v = finite ? (int32_t)((t & 0xff) ^ 0x80) - 0x80 : 0;
        w |= (uint32_t)(v & 0xff) << 8 * i;
        sum += v;
    }
    if (keep) *(uint32_t *)(void *)(row + form_place(RMR_GPU_INT8, c)) = w;
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, 2);
    const int32_t other = __shfl_xor_sync(~0u, sum, 4), all = sum + other;
    if (c % 32 != 0 || !keep) return;
    scales[c / 8] = scale;
    scales[c / 8 + 1] = scale * (float)all;
    scales[c / 8 + 2] = scale * (float)sum;
    scales[c / 8 + 3] = scale * (float)other;
}

/* The power of two that brings a run's largest value to between 2^14 and 2^15; 1 for what is too
 * small to matter or not finite. */
DEV uint32_t run_exponent(uint32_t top)
{
    const uint32_t e = top >> 23;
    return e < 32 || e == 255 ? 127 : e - 14;
}

/* The place of a prepared row: its parts are `ld` bytes apart. */
typedef struct prepared_row {
    rmr_gpu_form form;
    uint32_t parts;
    uint8_t *at;
    uint64_t ld;
    float *scales;
} prepared_row;

/* Four columns as halves. A warp has a run. */
DEV void put_halves(const prepared_row &to, uint32_t c, float *x)
{
    uint8_t *row = to.at;
    const uint32_t e = run_exponent(top_of(top_bits_of(x), 32));
    const float inverse = rmr_float_of((254 - e) << 23);
    for (int i = 0; i < 4; i++) x[i] *= inverse;
    if (c % RMR_GPU_RUN16 == 0) to.scales[c / RMR_GPU_RUN16] = rmr_float_of(e << 23);
    for (uint32_t p = 0; p < to.parts; p++, row += to.ld)
        for (uint32_t i = 0; i < 4; i += 2) {
            const uint16_t h = float_half(x[i]), k = float_half(x[i + 1]);
            *(uint32_t *)(void *)(row + form_place(to.form, c + i)) = h | (uint32_t)k << 16;
            x[i] -= half_float(h);
            x[i + 1] -= half_float(k);
        }
}

DEV void put_bf16(const prepared_row &to, uint32_t c, float *x)
{
    uint8_t *row = to.at;
    for (uint32_t p = 0; p < to.parts; p++, row += to.ld)
        for (uint32_t i = 0; i < 4; i += 2) {
            const uint32_t h = bf16_pair(x[i], x[i + 1]);
            *(uint32_t *)(void *)(row + form_place(to.form, c + i)) = h;
            x[i] -= rmr_float_of(h << 16);
            x[i + 1] -= rmr_float_of(h & 0xffff0000u);
        }
}

/* This lane's four of 128 columns; of which those from `end` on, a multiple of 32, are not kept. */
DEV void put_columns(const prepared_row &to, uint32_t c, uint32_t end, float *x)
{
    if (to.form == RMR_GPU_INT8) {
        put_int8(to.at, to.scales, c, x, c < end);
    } else if (to.form == RMR_GPU_BF16 || to.form == RMR_GPU_PLAIN) {
        if (c < end) put_bf16(to, c, x);
    } else if (to.form == RMR_GPU_FLOAT) {
        for (uint32_t k = 0; k < 4; k++) ((float *)(void *)to.at)[c + k] = x[k];
    } else {
        put_halves(to, c, x);
    }
}

/* Columns [c, c + 4) of n, zero behind the last one. */
DEV void four_columns(float *to, const float *from, uint32_t c, uint32_t n)
{
    if (c + 4 <= n && (uintptr_t)(from + c) % 16 == 0) {
        const float4 v = load_float4(from + c);
        to[0] = v.x;
        to[1] = v.y;
        to[2] = v.z;
        to[3] = v.w;
        return;
    }
    for (uint32_t k = 0; k < 4; k++) to[k] = c + k < n ? from[c + k] : 0.0f;
}

/* A warp has 128 columns of one prepared row. */
KERNEL(prepare, rmr_gpu_prepare, 128, 1)
{
    const uint32_t granule = rmr_gpu_granule(a.form), end = (a.n + granule - 1) / granule * granule;
    const uint32_t all = rows_of(a.in, a.rows) * a.per_row;
    const uint32_t runs = (end + 127) / 128;
    for (uint64_t i = blockIdx.x * 4ull + warp_of(); i < (uint64_t)all * runs;
         i += gridDim.x * 4ull) {
        const uint32_t r = (uint32_t)(i / runs), c = (uint32_t)(i % runs) * 128 + lane_of() * 4;
        const float *const from =
            a.x.at + (r / a.per_row) * a.x.ld + (size_t)(r % a.per_row) * a.step;
        float x[4];
        four_columns(x, from, c, a.n);
        put_columns(prepared_row{a.form, a.parts, a.to + (size_t)r * a.parts * a.ld, a.ld,
                                 a.scales + r * a.scale_ld},
                    c, end, x);
    }
}

#endif
