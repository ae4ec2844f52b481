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
    if (form == RMR_GPU_QUADS) return 2 * c;
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

/* Four columns of 8 bits, the scale of their run, and the sums of its halves. */
typedef struct int8_columns {
    uint32_t codes;
    float scale;
    int32_t low, high; /* in the first lane of the run's eight */
} int8_columns;

/* kernels.h, "Integer products". Eight lanes have a run. */
DEV int8_columns int8_of(const float *x)
{
    const uint32_t top = top_of(top_bits_of(x), 8);
    const float amax = rmr_float_of(top);
    const bool finite = top < 0x7f800000, some = finite && amax >= 0x1p-90f;
    const float inverse = some ? 127.0f / amax : 0.0f;
    int8_columns y = {0, some ? amax / 127.0f : finite ? 0.0f : rmr_float_of(0x7fc00000), 0, 0};
    int32_t sum = 0;
    for (int i = 0; i < 4; i++) {
        const uint32_t t = rmr_bits_of(x[i] * inverse + 0x1.8p23f);
        const int32_t v = finite ? (int32_t)((t & 0xff) ^ 0x80) - 0x80 : 0;
        y.codes |= (uint32_t)(v & 0xff) << 8 * i;
        sum += v;
    }
    sum += __shfl_xor_sync(~0u, sum, 1);
    y.low = sum + __shfl_xor_sync(~0u, sum, 2);
    y.high = __shfl_xor_sync(~0u, y.low, 4);
    return y;
}

/* Lanes that keep nothing take part in the exchange between lanes. */
DEV void put_int8(uint8_t *row, float *scales, uint32_t c, const float *x, bool keep)
{
    const int8_columns y = int8_of(x);
    if (keep) *(uint32_t *)(void *)(row + form_place(RMR_GPU_INT8, c)) = y.codes;
    if (c % 32 != 0 || !keep) return;
    scales[c / 8] = y.scale;
    scales[c / 8 + 1] = y.scale * (float)(y.low + y.high);
    scales[c / 8 + 2] = y.scale * (float)y.low;
    scales[c / 8 + 3] = y.scale * (float)y.high;
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

/* Divides by the power of two of a run, which a warp has. */
DEV float divide_run(float *x)
{
    const uint32_t e = run_exponent(top_of(top_bits_of(x), 32));
    const float inverse = rmr_float_of((254 - e) << 23);
    for (int i = 0; i < 4; i++) x[i] *= inverse;
    return rmr_float_of(e << 23);
}

/* Four columns as halves. */
DEV void put_halves(const prepared_row &to, uint32_t c, float *x)
{
    uint8_t *row = to.at;
    const float scale = divide_run(x);
    if (c % RMR_GPU_RUN16 == 0) to.scales[c / RMR_GPU_RUN16] = scale;
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
    } else if (to.form == RMR_GPU_BF16) {
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

/* ---- rows in blocks, for product_many.cuh ---- */

/* 16 bytes of a row, of which byte `at` of its columns is one. */
DEV uint8_t *block_place(const rmr_gpu_spread &a, uint32_t place, uint32_t at)
{
    const uint32_t r = place % RMR_GPU_MANY_GROUP;
    return a.of.to +
           ((size_t)(at / 128) * a.groups + place / RMR_GPU_MANY_GROUP) *
               (128 * RMR_GPU_MANY_GROUP) +
           r * 128 + (at % 128 / 16 ^ r) * 16;
}

/* This lane's four of 128 columns of the row at `place`. Lanes from `end` on keep nothing. QUADS:
 * 16 columns have the order of the instruction whose other operand is four codes a lane. */
DEV void put_block(const rmr_gpu_spread &a, uint32_t place, uint32_t c, uint32_t end, float *x)
{
    if (a.of.form == RMR_GPU_INT8) {
        const int8_columns y = int8_of(x);
        if (c >= end) return;
        *(uint32_t *)(void *)(block_place(a, place, c) + c % 16) = y.codes;
        if (c % 32 != 0) return;
        const size_t group = (size_t)(c / 128) * a.groups + place / RMR_GPU_MANY_GROUP;
        float *const to =
            a.of.scales +
            ((group * 4 + c % 128 / 32) * RMR_GPU_MANY_GROUP + place % RMR_GPU_MANY_GROUP) * 2;
        to[0] = y.scale;
        to[1] = y.scale * (float)(y.low + y.high);
    } else if (a.of.form == RMR_GPU_BF16) {
        if (c >= end) return;
        uint32_t *const to = (uint32_t *)(void *)(block_place(a, place, c * 2) + c % 8 * 2);
        to[0] = bf16_pair(x[0], x[1]);
        to[1] = bf16_pair(x[2], x[3]);
    } else {
        const uint32_t at = c / 16 * 32, t = c % 16 / 4;
        const float scale = divide_run(x);
        if (c % RMR_GPU_RUN16 == 0)
            a.of.scales[(size_t)(c / RMR_GPU_RUN16) * a.groups * RMR_GPU_MANY_GROUP + place] =
                scale;
        for (uint32_t i = 0; i < 2; i++)
            *(uint32_t *)(void *)(block_place(a, place, at + i * 16) + t * 4) =
                float_half(x[2 * i]) | (uint32_t)float_half(x[2 * i + 1]) << 16;
    }
}

/* 128 columns of a row, and where they go; ~0: nowhere. */
typedef struct spread_part {
    const float *from;
    uint32_t place, c;
} spread_part;

DEV spread_part spread_of(const rmr_gpu_spread &a, uint64_t i, uint32_t n_rows, uint32_t runs)
{
    const rmr_gpu_prepare &p = a.of;
    const bool lists = a.lists.n != NULL;
    const uint32_t of_row = lists ? a.lists.n_used : p.per_row,
                   groups = (n_rows + RMR_GPU_MANY_GROUP - 1) / RMR_GPU_MANY_GROUP,
                   r = (uint32_t)(i / runs), row = r / of_row, part = r % of_row;
    spread_part s = {p.x.at + row * p.x.ld, ~0u, (uint32_t)(i % runs) * 128 + lane_of() * 4};
    if (!lists || a.by_choice) s.from += (size_t)part * p.step;
    if (row < n_rows) s.place = lists ? a.lists.place[r] : part * groups * RMR_GPU_MANY_GROUP + row;
    return s;
}

/* A warp has 128 columns of some rows at a time. */
KERNEL(spread, rmr_gpu_spread, 256, 1)
{
    enum { AT_ONCE = 4 };
    const rmr_gpu_prepare &p = a.of;
    const uint32_t granule = rmr_gpu_granule(p.form), end = (p.n + granule - 1) / granule * granule,
                   runs = (end + 127) / 128, n_rows = rows_of(p.in, p.rows);
    const uint64_t all = (uint64_t)n_rows * (a.lists.n != NULL ? a.lists.n_used : p.per_row) * runs;
    for (uint64_t i = (blockIdx.x * 8ull + warp_of()) * AT_ONCE; i < all;
         i += gridDim.x * 8ull * AT_ONCE) {
        spread_part s[AT_ONCE];
        float x[AT_ONCE][4];
#pragma unroll
        for (uint32_t k = 0; k < AT_ONCE; k++) s[k] = spread_of(a, i + k, n_rows, runs);
#pragma unroll
        for (uint32_t k = 0; k < AT_ONCE; k++)
            if (s[k].place != ~0u) four_columns(x[k], s[k].from, s[k].c, p.n);
#pragma unroll
        for (uint32_t k = 0; k < AT_ONCE; k++)
            if (s[k].place != ~0u) put_block(a, s[k].place, s[k].c, end, x[k]);
    }
}

#endif
