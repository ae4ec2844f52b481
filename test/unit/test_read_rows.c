/* SPDX-License-Identifier: Apache-2.0 */
/* Weights whose scales lie in another tensor: the forms of released checkpoints become canonical
 * rows with the right values, transposed or not, and what cannot be is named. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block.h"
#include "hf.h"
#include "read_rows.h"
#include "tmem.h"

typedef struct part {
    const char *name, *dtype;
    uint32_t rows, cols;
    const void *data;
    size_t bytes;
} part;

/* A folder in memory with a few tensors. */
typedef struct made {
    rmr_mem mem;
    char *file;
    remora_blob blob;
    rmr_source *src;
    rmr_origin *origin;
    rmr_checkpoint *ck;  /* of the origin */
    const uint8_t *used; /* of the origin */
} made;

static void make(made *m, const part *p, size_t n)
{
    char header[2048] = "{";
    size_t at = 0, total = 0;
    memset(m, 0, sizeof *m);
    rmr_mem_init(&m->mem);
    for (size_t i = 0; i < n; i++) {
        at = strlen(header);
        char shape[32] = ""; /* of as many dims as are not 0 */
        if (p[i].rows > 0) snprintf(shape, sizeof shape, "%u", p[i].rows);
        if (p[i].cols > 0) snprintf(shape, sizeof shape, "%u,%u", p[i].rows, p[i].cols);
        snprintf(header + at, sizeof header - at,
                 "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                 i > 0 ? "," : "", p[i].name, p[i].dtype, shape, total, total + p[i].bytes);
        total += p[i].bytes;
    }
    strcat(header, "}");
    const uint64_t len = strlen(header);
    m->file = malloc(8 + (size_t)len + total);
    memcpy(m->file, &len, 8);
    memcpy(m->file + 8, header, (size_t)len);
    at = 8 + (size_t)len;
    for (size_t i = 0; i < n; i++) {
        memcpy(m->file + at, p[i].data, p[i].bytes);
        at += p[i].bytes;
    }
    m->blob = (remora_blob){"model.safetensors", m->file, at};
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_MEMORY, .blobs = &m->blob, .n_blobs = 1};
    remora_error e = {.struct_size = sizeof e};
    assert_int_equal(rmr_source_open(&m->mem, &desc, 1, &m->src, &e), REMORA_OK);
    if (rmr_origin_open(rmr_formats, &m->mem, m->src, NULL, &m->origin, &e) != REMORA_OK ||
        m->origin->format->open_tensors(m->origin, &e) != REMORA_OK)
        fail_msg("%s", e.message);
    m->ck = ((rmr_checkpoint_origin *)m->origin)->ck;
    m->used = ((rmr_checkpoint_origin *)m->origin)->used;
}

static void unmake(made *m)
{
    rmr_origin_free(m->origin);
    rmr_source_free(m->src);
    free(m->file);
}

static rmr_weight_plan_item wanted(const char *name, uint32_t count, uint32_t rows, uint32_t cols)
{
    rmr_weight_plan_item it = {.desc = {RMR_USE_MATRIX, RMR_ELEM_COUNT, count, rows, cols, {0}}};
    snprintf(it.name, sizeof it.name, "%s", name);
    return it;
}

/* The values of a weight of [rows, cols], taken in two cuts where it is not transposed. */
static remora_status values(made *m, uint32_t rows, uint32_t cols, int transpose, rmr_elem keep,
                            float *out, remora_error *err)
{
    rmr_weight_plan_item it = wanted("w", 1, transpose ? cols : rows, transpose ? rows : cols);
    RMR_TRY(rmr_hf_find(m->origin, &it, err));
    const rmr_elem elem = keep == RMR_ELEM_COUNT ? it.stored : keep;
    it.desc = (rmr_weight_desc){RMR_USE_MATRIX, elem, 1, rows, cols, {0}};
    it.transpose = transpose;
    rmr_reader reader = {.from = m->origin};
    const uint32_t cut = transpose || rows < 7 ? rows : rows - rows / 7;
    remora_status st = REMORA_OK;
    for (uint32_t r0 = 0; r0 < rows && st >= 0; r0 += cut) {
        const uint32_t n = rows - r0 < cut ? rows - r0 : cut;
        const void *got;
        st = rmr_read_rows(&reader, &it, 0, r0, n, &got, err);
        for (uint32_t r = 0; r < n && st >= 0; r++)
            rmr_row_decode(elem, out + (size_t)(r0 + r) * cols,
                           (const char *)got + r * rmr_row_bytes(elem, cols), cols);
    }
    rmr_reader_end(&reader);
    return st;
}

static void expect(made *m, uint32_t rows, uint32_t cols, int transpose, rmr_elem keep,
                   const float *want)
{
    remora_error e = {.struct_size = sizeof e};
    float *got = malloc((size_t)rows * cols * sizeof *got);
    if (values(m, rows, cols, transpose, keep, got, &e) != REMORA_OK) fail_msg("%s", e.message);
    for (uint32_t i = 0; i < rows * cols; i++) {
        const uint32_t r = i / cols, c = i % cols;
        const float w = transpose ? want[c * rows + r] : want[i];
        if (got[i] != w) fail_msg("[%u,%u] is %g, not %g", r, c, (double)got[i], (double)w);
    }
    free(got);
}

static void refuse(made *m, uint32_t rows, uint32_t cols, const char *name)
{
    remora_error e = {.struct_size = sizeof e};
    float *got = malloc((size_t)rows * cols * sizeof *got);
    assert_int_equal(values(m, rows, cols, 0, RMR_ELEM_COUNT, got, &e), REMORA_E_FORMAT);
    if (strstr(e.message, name) == NULL) fail_msg("no %s in: %s", name, e.message);
    free(got);
}

/* ---- FP8: 150 x 260, blocks at the edges partial ---- */

enum { R = 150, C = 260, BR = 2, BC = 3 };
static uint8_t codes[R * C];
static float scales[BR * BC], f8_want[R * C];

static float e4m3(uint8_t c)
{
    const int e = c >> 3 & 15, f = c & 7;
    const float v = e == 0 ? ldexpf((float)f, -9) : ldexpf((float)(8 + f), e - 10);
    return c & 0x80 ? -v : v;
}

static void fill_f8(void)
{
    for (int i = 0; i < R * C; i++) {
        codes[i] = (uint8_t)((unsigned)i * 37u + 11u + (unsigned)i / 251u);
        if ((codes[i] & 0x7f) == 0x7f) codes[i] = 0x7e;
    }
    for (int i = 0; i < BR * BC; i++) scales[i] = 0.001f * (float)(i + 1);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++)
            f8_want[r * C + c] = e4m3(codes[r * C + c]) * scales[r / 128 * BC + c / 128];
}

static void fp8(void **state)
{
    made m;
    const part p[] = {{"w.weight", "F8_E4M3", R, C, codes, sizeof codes},
                      {"w.weight_scale_inv", "F32", BR, BC, scales, sizeof scales}};
    (void)state;
    fill_f8();
    make(&m, p, 2);
    expect(&m, R, C, 0, RMR_ELEM_COUNT, f8_want);
    assert_int_equal(m.used[0] + m.used[1], 2);
    expect(&m, R, C, 0, RMR_ELEM_F32, f8_want);
    expect(&m, C, R, 1, RMR_ELEM_COUNT, f8_want);
    expect(&m, C, R, 1, RMR_ELEM_F32, f8_want);
    unmake(&m);
}

/* Powers of two as E8M0 bytes. */
static void fp8_ue8m0(void **state)
{
    static const uint8_t e[BR * BC] = {118, 127, 120, 126, 128, 1};
    made m;
    const part p[] = {{"w.weight", "F8_E4M3", R, C, codes, sizeof codes},
                      {"w.weight_scale_inv", "F8_E8M0", BR, BC, e, sizeof e}};
    float *want = malloc(sizeof f8_want);
    (void)state;
    fill_f8();
    for (int i = 0; i < R * C; i++)
        want[i] = e4m3(codes[i]) * ldexpf(1, e[i / C / 128 * BC + i % C / 128] - 127);
    make(&m, p, 2);
    expect(&m, R, C, 0, RMR_ELEM_COUNT, want);
    unmake(&m);
    free(want);
}

/* The names of scales, and the types that are not F32; all of them multiply. */
static void fp8_scales_of_other_types(void **state)
{
    static const char *const names[] = {"w.weight_scale_inv", "w.weight_scale", "w.scale"};
    static const uint16_t bf16[BR * BC] = {0x3f80, 0x3b03, 0xbe20, 0x4049, 0x0080, 0x3f01};
    static const uint16_t f16[BR * BC] = {0x3c00, 0x1403, 0xb820, 0x4249, 0x0001, 0x3801};
    float want[2][BR * BC], *all = malloc(sizeof f8_want);
    (void)state;
    fill_f8();
    for (int i = 0; i < BR * BC; i++) {
        const uint32_t u = (uint32_t)bf16[i] << 16;
        memcpy(&want[0][i], &u, 4);
        const int e = f16[i] >> 10 & 31, m = f16[i] & 1023;
        want[1][i] = (f16[i] >> 15 ? -1.0f : 1.0f) *
                     (e == 0 ? ldexpf((float)m, -24) : ldexpf((float)(1024 + m), e - 25));
    }
    for (size_t k = 0; k < 2; k++)
        for (size_t n = 0; n < 3; n++) {
            made m;
            const part p[] = {
                {"w.weight", "F8_E4M3", R, C, codes, sizeof codes},
                {names[n], k == 0 ? "BF16" : "F16", BR, BC, k == 0 ? bf16 : f16, sizeof bf16}};
            for (int i = 0; i < R * C; i++)
                all[i] = e4m3(codes[i]) * want[k][i / C / 128 * BC + i % C / 128];
            make(&m, p, 2);
            expect(&m, R, C, 0, RMR_ELEM_COUNT, all);
            expect(&m, C, R, 1, RMR_ELEM_F32, all);
            unmake(&m);
        }
    free(all);
}

/* One scale for a matrix, and one for each row: the second is kept decoded. */
static void fp8_one_scale_and_rows(void **state)
{
    static const struct {
        uint32_t rows, cols;
        rmr_elem keep;
    } shapes[] = {{1, 1, RMR_ELEM_F8},
                  {1, 0, RMR_ELEM_F8},
                  {0, 0, RMR_ELEM_F8},
                  {R, 1, RMR_ELEM_F32},
                  {R, 0, RMR_ELEM_F32}};
    float each[R], *want = malloc(sizeof f8_want);
    (void)state;
    fill_f8();
    for (int r = 0; r < R; r++) each[r] = 0.25f + 0.003f * (float)r;
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        made m;
        const size_t bytes = (shapes[k].rows > 0 ? shapes[k].rows : 1) * sizeof each[0];
        const part p[] = {{"w.weight", "F8_E4M3", R, C, codes, sizeof codes},
                          {"w.weight_scale", "F32", shapes[k].rows, shapes[k].cols, each, bytes}};
        for (int i = 0; i < R * C; i++)
            want[i] = e4m3(codes[i]) * each[shapes[k].rows < 2 ? 0 : i / C];
        make(&m, p, 2);
        rmr_weight_plan_item it = wanted("w", 1, R, C);
        assert_int_equal(rmr_hf_find(m.origin, &it, NULL), REMORA_OK);
        assert_int_equal(it.desc.elem, shapes[k].keep);
        assert_int_equal(m.used[0] + m.used[1], 2);
        expect(&m, R, C, 0, shapes[k].keep, want);
        expect(&m, C, R, 1, RMR_ELEM_F32, want);
        unmake(&m);
    }
    made m;
    const part few[] = {{"w.weight", "F8_E4M3", R, C, codes, sizeof codes},
                        {"w.weight_scale", "F32", R - 1, 1, each, (R - 1) * sizeof each[0]}};
    make(&m, few, 2);
    refuse(&m, R, C, "w.weight_scale has shape [149,1]");
    unmake(&m);
    each[77] = NAN;
    const part nan[] = {few[0], {"w.weight_scale", "F32", R, 1, each, sizeof each}};
    make(&m, nan, 2);
    refuse(&m, R, C, "w.weight_scale has a scale that is not finite in row 77");
    unmake(&m);
    free(want);
}

/* Give tensor `name` three dimensions. */
static void reshape(made *m, const char *name, uint64_t a, uint64_t b, uint64_t c)
{
    rmr_tensor *t = (rmr_tensor *)(uintptr_t)rmr_checkpoint_find(m->ck, name);
    *t = (rmr_tensor){t->name, t->dtype, 3, {a, b, c}, t->offset, t->bytes, t->file};
}

/* The matrices of two experts in one tensor of each kind, with scales for blocks: 128 rows each of
 * gate and up, or of down. */
static void fp8_stack(void **state)
{
    enum { E = 2, ROWS = 128, COLS = 260, SC = 3 };
    static const char *const names[] = {"e.gate_proj", "e.up_proj"};
    static uint8_t c[E * 2 * ROWS * COLS];
    static float s[E * 2 * SC], got[ROWS * COLS];
    const part p[] = {{"e.gate_up_proj", "F8_E4M3", E, 2 * ROWS * COLS, c, sizeof c},
                      {"e.gate_up_proj_scale_inv", "F32", E, 2 * SC, s, sizeof s},
                      {"e.down_proj", "F8_E4M3", E, 2 * ROWS * COLS, c, sizeof c},
                      {"e.down_proj_scale_inv", "F32", E, 2 * SC, s, sizeof s}};
    made m;
    remora_error e = {.struct_size = sizeof e};
    (void)state;
    for (size_t i = 0; i < sizeof c; i++) c[i] = (uint8_t)(i * 37 % 127);
    for (int i = 0; i < E * 2 * SC; i++) s[i] = 0.5f + (float)i;
    make(&m, p, 4);
    for (int i = 0; i < 4; i += 2) {
        reshape(&m, p[i].name, E, 2 * ROWS, COLS);
        reshape(&m, p[i + 1].name, E, 2, SC);
    }
    rmr_reader reader = {.from = m.origin};
    for (int k = 0; k < 2 * E; k++) {
        const void *rows;
        rmr_weight_plan_item it = wanted(names[k % 2], E, ROWS, COLS);
        if (rmr_hf_find_stack(m.origin, &it, &e) < 0) fail_msg("%s", e.message);
        assert_int_equal(rmr_read_rows(&reader, &it, (uint32_t)k / 2, 0, ROWS, &rows, &e),
                         REMORA_OK);
        for (int r = 0; r < ROWS; r++)
            rmr_row_decode(RMR_ELEM_F8, got + r * COLS,
                           (const char *)rows + r * rmr_row_bytes(RMR_ELEM_F8, COLS), COLS);
        for (int i = 0; i < ROWS * COLS; i++) {
            const float want = e4m3(c[k * ROWS * COLS + i]) * s[k * SC + i % COLS / 128];
            if (got[i] != want) fail_msg("matrix %d, %d: %g, not %g", k, i, got[i], want);
        }
    }
    rmr_reader_end(&reader);
    rmr_weight_plan_item down = wanted("e.down_proj", E, 2 * ROWS, COLS);
    assert_int_equal(rmr_hf_find_stack(m.origin, &down, &e), REMORA_OK);
    reshape(&m, p[0].name, 2 * E, ROWS, COLS);
    reshape(&m, p[1].name, 2 * E, 1, SC);
    rmr_weight_plan_item narrow = wanted("e.up_proj", 2 * E, ROWS / 2, COLS);
    assert_int_equal(rmr_hf_find_stack(m.origin, &narrow, &e), REMORA_E_UNSUPPORTED);
    assert_non_null(strstr(e.message, "FP8 in matrices of 64 rows"));
    unmake(&m);
}

static void fp8_damaged(void **state)
{
    made m;
    const part p[] = {{"w.weight", "F8_E4M3", R, C, codes, sizeof codes},
                      {"w.weight_scale_inv", "F32", BR, BC, scales, sizeof scales}};
    const part few[] = {p[0], {"w.weight_scale_inv", "F32", 1, BC, scales, sizeof scales / BR}};
    (void)state;
    fill_f8();
    codes[77 * C + 5] = 0x7f;
    make(&m, p, 2);
    refuse(&m, R, C, "w.weight has a NaN code in row 77 (byte 5 ");
    unmake(&m);
    fill_f8();
    scales[4] = INFINITY;
    make(&m, p, 2);
    refuse(&m, R, C, "w.weight_scale_inv");
    unmake(&m);
    fill_f8();
    make(&m, p, 1);
    refuse(&m, R, C, "w.weight_scale_inv is missing");
    unmake(&m);
    make(&m, few, 2);
    refuse(&m, R, C, "w.weight_scale_inv has shape [1,3]");
    unmake(&m);
}

/* ---- groups of 32 ---- */

/* This word is -8 -1 0 7 3 -4 1 2 (docs/models.md, "Stored types"). */
static void int4(void **state)
{
    static const float eight[] = {-8, -1, 0, 7, 3, -4, 1, 2};
    uint32_t words[2 * 8];
    const uint16_t bf16[] = {0x3f80, 0x4000, 0x3e80, 0xbf00}; /* 1, 2, 0.25, -0.5 */
    const float scale[] = {1, 2, 0.25f, -0.5f};
    float want[2 * 64];
    const int64_t shape[] = {2, 64};
    made m;
    const part p[] = {{"w.weight_packed", "I32", 2, 8, words, sizeof words},
                      {"w.weight_scale", "BF16", 2, 2, bf16, sizeof bf16},
                      {"w.weight_shape", "I64", 1, 2, shape, sizeof shape}};
    (void)state;
    for (int i = 0; i < 16; i++) words[i] = 0xa94bf870u;
    words[5] = 0x76543210u;
    for (int i = 0; i < 128; i++) want[i] = eight[i % 8] * scale[i / 32];
    for (int i = 0; i < 8; i++) want[40 + i] = (float)(i - 8) * scale[1];
    make(&m, p, 3);
    expect(&m, 2, 64, 0, RMR_ELEM_COUNT, want);
    assert_int_equal(m.used[0] + m.used[1] + m.used[2], 3);
    unmake(&m);
    const uint16_t bad[] = {0x3f80, 0x4000, 0x7f80, 0xbf00};
    const part q[] = {p[0], {"w.weight_scale", "BF16", 2, 2, bad, sizeof bad}};
    make(&m, q, 2);
    refuse(&m, 2, 64, "w.weight_scale has a scale that is not finite in row 1");
    unmake(&m);
    make(&m, p, 1);
    refuse(&m, 2, 64, "w.weight_scale is missing");
    unmake(&m);
}

static void mxfp4(void **state)
{
    static const float e2m1[] = {0,    .5f,  1,  1.5f,  2,  3,  4,  6,
                                 -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};
    static const char *const names[][3] = {{"w.weight", "I8", "w.scale"},
                                           {"w.weight", "U8", "w.weight_scale"}};
    uint8_t c[2 * 32], e[] = {128, 127, 120, 0};
    float want[2 * 64];
    (void)state;
    for (int i = 0; i < 64; i++) c[i] = (uint8_t)(i * 37 + 11);
    c[0] = 0x2b; /* with 2^1 it is -3, 2 */
    for (int i = 0; i < 128; i++)
        want[i] = e2m1[c[i / 2] >> i % 2 * 4 & 15] * ldexpf(1, e[i / 32] - 127);
    assert_true(want[0] == -3 && want[1] == 2);
    for (int i = 0; i < 2; i++) {
        made m;
        const part p[] = {{names[i][0], names[i][1], 2, 32, c, sizeof c},
                          {names[i][2], i == 0 ? "F8_E8M0" : "U8", 2, 2, e, sizeof e}};
        make(&m, p, 2);
        expect(&m, 2, 64, 0, RMR_ELEM_COUNT, want);
        unmake(&m);
    }
    made m;
    const part p[] = {{"w.weight", "I8", 2, 32, c, sizeof c},
                      {"w.scale", "F8_E8M0", 2, 2, e, sizeof e}};
    e[3] = 255;
    make(&m, p, 2);
    refuse(&m, 2, 64, "w.scale has a scale that is not finite in row 1");
    unmake(&m);
}

/* ---- blocks of GGUF: a scale and, where there is one, a minimum that is not finite ---- */

static remora_status read_blocks(made *m, rmr_dtype dtype, uint32_t rows, uint32_t cols,
                                 remora_error *err)
{
    const rmr_elem e = rmr_dtype_elem(dtype);
    rmr_tensor t = *rmr_checkpoint_find(m->ck, "w.weight");
    const rmr_weight_plan_item it = {.desc = {RMR_USE_MATRIX, e, 1, rows, cols, {0}},
                                     .coding = RMR_CODING_PLAIN,
                                     .stored = e,
                                     .first = {&t, NULL, 0}};
    rmr_reader reader = {.from = m->origin};
    const void *got;
    t.dtype = dtype;
    const remora_status st = rmr_read_rows(&reader, &it, 0, 0, rows, &got, err);
    rmr_reader_end(&reader);
    return st;
}

static void blocks(void **state)
{
    enum { ROWS = 3, COLS = 512 };
    (void)state;
    for (int d = RMR_DTYPE_BLOCKS; d < RMR_DTYPE_UNREAD; d++) {
        const rmr_elem e = rmr_dtype_elem((rmr_dtype)d);
        const uint32_t row = (uint32_t)rmr_row_bytes(e, COLS), size = rmr_elem_table[e].bytes;
        const rmr_elem_format *const f = &rmr_elem_table[e];
        unsigned char *data = malloc((size_t)ROWS * row);
        for (int which = 0; which < 3; which++) { /* none, the scale, the minimum */
            const int off = f->d + 2 * (which - 1);
            if (which > f->scales || (which > 0 && f->scale == RMR_SCALE_E8M0)) continue;
            char word[80];
            remora_error err = {.struct_size = sizeof err};
            made m;
            memset(data, 0x11, (size_t)ROWS * row);
            if (which > 0) rmr_half_put(data + 2 * row + size + off, 0xfc00);
            const part p = {"w.weight", "U8", ROWS, row, data, (size_t)ROWS * row};
            make(&m, &p, 1);
            const remora_status st = read_blocks(&m, (rmr_dtype)d, ROWS, COLS, &err);
            snprintf(word, sizeof word, "w.weight has a scale that is not finite in row 2 (byte %u",
                     size + (uint32_t)off);
            assert_int_equal(st, which > 0 ? REMORA_E_FORMAT : REMORA_OK);
            if (which > 0 && strstr(err.message, word) == NULL)
                fail_msg("%s: no \"%s\" in: %s", rmr_elem_table[e].name, word, err.message);
            unmake(&m);
        }
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp8),
        cmocka_unit_test(fp8_ue8m0),
        cmocka_unit_test(fp8_damaged),
        cmocka_unit_test(fp8_scales_of_other_types),
        cmocka_unit_test(fp8_one_scale_and_rows),
        cmocka_unit_test(fp8_stack),
        cmocka_unit_test(int4),
        cmocka_unit_test(mxfp4),
        cmocka_unit_test(blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
