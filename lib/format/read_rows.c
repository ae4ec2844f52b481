/* SPDX-License-Identifier: Apache-2.0 */
#include "read_rows.h"

#include <math.h>
#include <string.h>

#include "block.h"
#include "fpenv.h"

enum {
    GROUP = 32, /* columns of one scale of I4 and MXFP4 */
    PORTION_BYTES = 4 << 20,
    PORTION_ROWS = RMR_F8_RUN /* a portion is a multiple of this, so that runs of rows stay whole */
};

/* The size of a matrix as it lies in the checkpoint. */
typedef struct extent {
    uint32_t rows, cols;
} extent;

static extent stored_extent(const rmr_weight_plan_item *it)
{
    const rmr_weight_desc *d = &it->desc;
    return it->transpose ? (extent){d->cols, d->rows} : (extent){d->rows, d->cols};
}

static uint64_t coded_row(rmr_coding coding, rmr_elem e, uint32_t cols)
{
    switch (coding) {
    case RMR_CODING_F8:
    case RMR_CODING_F8_ONE:
    case RMR_CODING_F8_ROWS: return cols;
    case RMR_CODING_I4:
    case RMR_CODING_MXFP4: return cols / 2;
    default: return rmr_row_bytes(e, cols);
    }
}

/* Scale values of one row of the scale tensor. */
static uint32_t scale_cols(rmr_coding coding, uint32_t cols)
{
    switch (coding) {
    case RMR_CODING_F8: return (cols + RMR_F8_RUN - 1) / RMR_F8_RUN;
    case RMR_CODING_F8_ONE:
    case RMR_CODING_F8_ROWS: return 1;
    default: return cols / GROUP;
    }
}

/* Rows of the matrix that share a row of the scale tensor. */
static uint64_t scale_rows(rmr_coding coding)
{
    return coding == RMR_CODING_F8 ? RMR_F8_RUN : coding == RMR_CODING_F8_ONE ? UINT64_MAX : 1;
}

/* The room of the reader: [canonical rows][codes as read][scales as read], then, in place of the
 * last two, [what desc wants]. */
static uint64_t room_for(const rmr_weight_plan_item *it, uint32_t n)
{
    const extent s = stored_extent(it);
    const uint64_t m = it->transpose ? s.rows : n;
    const uint64_t rows = rmr_round_up(m * rmr_row_bytes(it->stored, s.cols), RMR_ALIGN);
    uint64_t parts = 0, made = 0;
    if (it->coding != RMR_CODING_PLAIN)
        parts = m * coded_row(it->coding, it->stored, s.cols) +
                (m + 1) * scale_cols(it->coding, s.cols) * 4 + RMR_ALIGN;
    if (it->transpose || it->desc.elem != it->stored)
        made = n * rmr_row_bytes(it->desc.elem, it->desc.cols) +
               (it->desc.elem != it->stored ? (uint64_t)s.cols * 4 : 0);
    return rows + (parts > made ? parts : made);
}

static float scale_value(const rmr_tensor *t, const unsigned char *p)
{
    float f;
    switch (t->dtype) {
    case RMR_DTYPE_F32: memcpy(&f, p, 4); return f;
    case RMR_DTYPE_BF16: return rmr_bf16_to_f32(rmr_half_at(p));
    case RMR_DTYPE_F16: return rmr_f16_to_f32(rmr_half_at(p));
    default: return *p == 255 ? NAN : 2 * rmr_e8m0_half(*p); /* 2^(e - 127), exact */
    }
}

/* ---- one row: codes and scales to the canonical form ---- */

/* `step` is how far the next run's scale is, 0 where they have one. */
static void join_f8(unsigned char *row, const unsigned char *codes, const rmr_tensor *scale,
                    const unsigned char *scales, uint32_t step, uint32_t cols)
{
    memcpy(row, codes, cols);
    for (uint32_t i = 0; i < scale_cols(RMR_CODING_F8, cols); i++) {
        const float f = scale_value(scale, scales + (size_t)i * step);
        memcpy(row + cols + 4 * (size_t)i, &f, 4);
    }
}

/* Sixteen bytes of codes in the order of the columns, low nibble first, to GGUF's order: byte j has
 * columns j and j + 16 (docs/models.md T11). */
static void order_nibbles(unsigned char to[16], const unsigned char *from)
{
    for (int j = 0; j < 8; j++) {
        to[2 * j] = (unsigned char)((from[j] & 15) | from[j + 8] << 4);
        to[2 * j + 1] = (unsigned char)(from[j] >> 4 | (from[j + 8] & 0xf0));
    }
}

/* Scale bytes (2: bf16, 1: E8M0) and codes of a group make a block of I4 or MXFP4. */
static void join_groups(unsigned char *row, const unsigned char *codes, const unsigned char *scales,
                        uint32_t size, uint32_t cols)
{
    for (uint32_t g = 0; g < cols / GROUP; g++, row += size + 16) {
        memcpy(row, scales + (size_t)g * size, size);
        order_nibbles(row + size, codes + (size_t)g * 16);
    }
}

/* ---- reading ---- */

static remora_status read_coded(const rmr_weight_plan_item *it, const rmr_matrix *p, uint64_t row0,
                                uint32_t n, uint32_t cols, unsigned char *rows,
                                unsigned char *parts, remora_error *err)
{
    const uint64_t coded = coded_row(it->coding, it->stored, cols);
    const uint64_t row_bytes = rmr_row_bytes(it->stored, cols);
    const uint64_t per = scale_rows(it->coding);
    const uint32_t step = it->coding == RMR_CODING_F8 ? rmr_dtype_size(p->scale->dtype) : 0;
    const uint64_t scale_row =
        (uint64_t)scale_cols(it->coding, cols) * rmr_dtype_size(p->scale->dtype);
    const uint64_t s0 = row0 / per, s1 = (row0 + n - 1) / per + 1;
    RMR_ASSERT(n > 0 && p->scale != NULL);
    unsigned char *scales = parts + rmr_round_up(n * coded, 8);
    RMR_TRY(rmr_file_read(p->data->file, p->data->offset + row0 * coded, parts, n * coded, err));
    RMR_TRY(rmr_file_read(p->scale->file, p->scale->offset + s0 * scale_row, scales,
                          (s1 - s0) * scale_row, err));
    const rmr_fpenv own = rmr_fpenv_enter(); /* scales are converted */
    for (uint32_t r = 0; r < n; r++) {
        const unsigned char *s = scales + ((row0 + r) / per - s0) * scale_row;
        if (it->stored == RMR_ELEM_F8)
            join_f8(rows + r * row_bytes, parts + r * coded, p->scale, s, step, cols);
        else
            join_groups(rows + r * row_bytes, parts + r * coded, s, rmr_dtype_size(p->scale->dtype),
                        cols);
    }
    rmr_fpenv_leave(own);
    return REMORA_OK;
}

/* Values, codes and scales that are not finite. */
static remora_status check_rows(const rmr_weight_plan_item *it, const rmr_matrix *p, uint64_t row0,
                                uint32_t n, uint32_t cols, const unsigned char *rows,
                                remora_error *err)
{
    const uint64_t row_bytes = rmr_row_bytes(it->stored, cols);
    for (uint32_t r = 0; r < n; r++) {
        const uint64_t at = rmr_row_check(it->stored, rows + r * row_bytes, cols);
        if (at == UINT64_MAX) continue;
        const int is_code = it->stored == RMR_ELEM_F8 && at < cols;
        const rmr_tensor *t = is_code || p->scale == NULL ? p->data : p->scale;
        const char *what = is_code                       ? "a NaN code"
                           : it->stored < RMR_ELEM_PLAIN ? "a value that is not finite"
                                                         : "a scale that is not finite";
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s has %s in row %llu (byte %llu of it)",
                 rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text, what,
                 (unsigned long long)(row0 + r), (unsigned long long)at);
    }
    return REMORA_OK;
}

/* ---- transposed and decoded ---- */

static void transpose(unsigned char *dst, const unsigned char *src, uint32_t rows, uint32_t cols,
                      uint32_t size)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < cols; c++)
            memcpy(dst + ((size_t)c * rows + r) * size, src + ((size_t)r * cols + c) * size, size);
}

/* F8 rows whose runs of rows begin at a multiple of 128: blocks stay blocks. */
static void transpose_f8(unsigned char *dst, const unsigned char *src, uint32_t rows, uint32_t cols)
{
    const uint64_t in = rmr_row_bytes(RMR_ELEM_F8, cols), out = rmr_row_bytes(RMR_ELEM_F8, rows);
    for (uint32_t c = 0; c < cols; c++) {
        unsigned char *to = dst + c * out;
        for (uint32_t r = 0; r < rows; r++) to[r] = src[r * in + c];
        for (uint32_t r = 0; r < rows; r += RMR_F8_RUN)
            memcpy(to + rows + r / RMR_F8_RUN * 4, src + r * in + cols + c / RMR_F8_RUN * 4, 4);
    }
}

/* Decoded rows, transposed or not. `line` has room for one row. */
static void decode(const rmr_weight_plan_item *it, float *out, float *line,
                   const unsigned char *rows, uint32_t n, uint32_t cols)
{
    const uint64_t row_bytes = rmr_row_bytes(it->stored, cols);
    for (uint32_t r = 0; r < n; r++) {
        float *to = it->transpose ? line : out + (size_t)r * cols;
        rmr_row_decode(it->stored, to, rows + r * row_bytes, cols);
        for (uint32_t c = 0; it->transpose && c < cols; c++) out[(size_t)c * n + r] = line[c];
    }
}

remora_status rmr_read_rows(rmr_reader *r, const rmr_weight_plan_item *it, uint32_t index,
                            uint32_t row0, uint32_t n, const void **rows, remora_error *err)
{
    const rmr_matrix at = rmr_matrix_of(it, index);
    const extent s = stored_extent(it);
    const uint32_t m = it->transpose ? s.rows : n;
    const uint64_t from = at.row0 + (it->transpose ? 0 : row0);
    const uint64_t row_bytes = rmr_row_bytes(it->stored, s.cols);
    unsigned char *room;
    RMR_ASSERT(n > 0 && row0 + n <= it->desc.rows && (!it->transpose || n == it->desc.rows));
    RMR_TRY(rmr_reader_room(r, room_for(it, n), &room, err));
    unsigned char *second = room + rmr_round_up(m * row_bytes, RMR_ALIGN);
    *rows = room;
    if (it->coding == RMR_CODING_PLAIN)
        RMR_TRY(rmr_file_read(at.data->file, at.data->offset + from * row_bytes, room,
                              m * row_bytes, err));
    else
        RMR_TRY(read_coded(it, &at, from, m, s.cols, room, second, err));
    RMR_TRY(check_rows(it, &at, from, m, s.cols, room, err));
    if (it->desc.elem != it->stored) {
        float *line = (float *)(void *)second;
        const rmr_fpenv own = rmr_fpenv_enter();
        decode(it, line + s.cols, line, room, m, s.cols);
        rmr_fpenv_leave(own);
        *rows = line + s.cols;
    } else if (it->transpose) {
        if (it->stored == RMR_ELEM_F8)
            transpose_f8(second, room, m, s.cols);
        else
            transpose(second, room, m, s.cols, rmr_elem_size(it->stored));
        *rows = second;
    }
    return REMORA_OK;
}

/* ---- portions ---- */

/* Rows of one portion: whole matrices where they are transposed (heads, which are small), else
 * about PORTION_BYTES. */
static uint32_t portion_rows(const rmr_weight_plan_item *it)
{
    const uint64_t bytes = rmr_row_bytes(it->desc.elem, it->desc.cols);
    uint64_t n = bytes > 0 ? PORTION_BYTES / bytes / PORTION_ROWS * PORTION_ROWS : it->desc.rows;
    if (it->transpose) return it->desc.rows;
    if (n < PORTION_ROWS) n = PORTION_ROWS;
    return n < it->desc.rows ? (uint32_t)n : it->desc.rows;
}

rmr_span rmr_read_rows_span(const rmr_weight_plan_item *it)
{
    const rmr_weight_desc *d = &it->desc;
    const uint32_t n = portion_rows(it);
    return (rmr_span){(uint64_t)d->count * ((d->rows + n - 1) / n),
                      d->count * (d->rows * rmr_row_bytes(d->elem, d->cols))};
}

remora_status rmr_read_rows_portion(rmr_reader *r, const rmr_weight_plan_item *it, uint64_t portion,
                                    rmr_portion *out, remora_error *err)
{
    const rmr_weight_desc *d = &it->desc;
    const uint32_t per = portion_rows(it), per_matrix = (d->rows + per - 1) / per;
    out->index = (uint32_t)(portion / per_matrix);
    out->row0 = (uint32_t)(portion % per_matrix) * per;
    out->n = d->rows - out->row0 < per ? d->rows - out->row0 : per;
    out->bytes = out->n * rmr_row_bytes(d->elem, d->cols);
    RMR_ASSERT(out->index < d->count);
    return rmr_read_rows(r, it, out->index, out->row0, out->n, &out->data, err);
}
