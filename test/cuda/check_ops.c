/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation on the CUDA backend against the same operation on the CPU backend: random weights
 * and inputs, device memory poisoned before (emulated_driver.c) or by the caller. And the same bits
 * for a row alone and among others. With the emulated driver in the test suite, with a GPU's in
 * test/cuda/run.sh. */
#include "check_ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_best.h"
#include "must.h"

rmr_backend *check_cpu, *check_gpu;
int check_bad, check_done, check_loud;
static uint64_t seed = 88172645463325252ull;

double check_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (double)(seed >> 11) * 0x1p-53 * 2 - 1;
}

/* ---- weights, twice ---- */

enum { MAX_WEIGHTS = 24 };

typedef struct twice {
    rmr_weight *cpu, *gpu;
} twice;

static twice weights[MAX_WEIGHTS];
static uint32_t n_weights;

static void add_rows(const rmr_weight_desc *d, const unsigned char *rows)
{
    twice *const w = &weights[n_weights++];
    const size_t bytes = (size_t)d->rows * rmr_row_bytes(d->elem, d->cols);
    MUST(check_cpu->ops->weight_create(check_cpu, d, &w->cpu, err));
    MUST(check_gpu->ops->weight_create(check_gpu, d, &w->gpu, err));
    for (uint32_t i = 0; i < d->count; i++) {
        MUST(
            check_cpu->ops->weight_upload(check_cpu, w->cpu, i, 0, d->rows, rows + i * bytes, err));
        MUST(
            check_gpu->ops->weight_upload(check_gpu, w->gpu, i, 0, d->rows, rows + i * bytes, err));
    }
    MUST(check_cpu->ops->weight_done(check_cpu, w->cpu, err));
    MUST(check_gpu->ops->weight_done(check_gpu, w->gpu, err));
}

/* A weight of random values of that size; its number + 1 stands for it in operations. */
static const rmr_weight *weight(rmr_weight_use use, rmr_elem e, uint32_t count, uint32_t n,
                                uint32_t cols, float size)
{
    const rmr_weight_desc d = {use, e, count, n, cols, {RMR_SHARE_NONE, 1}};
    const size_t row = (size_t)rmr_row_bytes(e, cols);
    unsigned char *const rows = malloc(row * n * count);
    float *const x = malloc((size_t)128 * cols * 4);
    for (uint32_t r = 0; r < n * count;) {
        const uint32_t left = n - r % n, m = e == RMR_ELEM_F8 ? (left < 128 ? left : 128) : 1;
        for (size_t i = 0; i < (size_t)m * cols; i++) {
            x[i] = (float)(check_random() + check_random() + check_random()) * size;
            if (use == RMR_USE_VECTOR) x[i] += 1;
        }
        if (e == RMR_ELEM_F32)
            memcpy(rows + r * row, x, row);
        else if (e == RMR_ELEM_BF16 || e == RMR_ELEM_F16)
            for (uint32_t i = 0; i < cols; i++) {
                const uint16_t h =
                    e == RMR_ELEM_BF16 ? rmr_f32_to_bf16(x[i]) : rmr_f32_to_f16(x[i]);
                memcpy(rows + r * row + 2 * (size_t)i, &h, 2);
            }
        else
            rmr_rows_encode(e, rows + r * row, x, m, cols, NULL);
        r += m;
    }
    add_rows(&d, rows);
    free(rows);
    free(x);
    return (const rmr_weight *)(uintptr_t)n_weights;
}

static void free_weights(void)
{
    for (uint32_t i = 0; i < n_weights; i++) {
        check_cpu->ops->weight_free(check_cpu, weights[i].cpu);
        check_gpu->ops->weight_free(check_gpu, weights[i].gpu);
    }
    n_weights = 0;
}

static const rmr_weight *side_of(const rmr_weight *w, int gpu)
{
    if (w == NULL) return NULL;
    const twice *const t = &weights[(uintptr_t)w - 1];
    return gpu ? t->gpu : t->cpu;
}

/* ---- steps, twice ---- */

enum { MAX_OPS = 16, MAX_SLOTS = 16, MAX_ROWS = 300, MAX_PAGES = 4096 };

typedef struct plan {
    rmr_op op[MAX_OPS];
    uint32_t n_ops;
    rmr_slot slot[MAX_SLOTS];
    uint32_t n_slots;
    rmr_cache_rows cached; /* rows of both streams of the cache: */
    uint32_t width, rope;  /* width 0: there is no cache */
    uint32_t max_rows, max_pages, max_out;
    /* inputs */
    uint32_t n_rows, n_runs, n_want, count;
    int32_t token[MAX_ROWS];
    uint32_t pos[MAX_ROWS], want[MAX_ROWS];
    rmr_run run[MAX_ROWS];
    uint32_t n_pages;
    uint32_t page[MAX_PAGES]; /* numbers */
    rmr_kv_type kv_type;
    int apart; /* each operation is a slice of its own */
} plan;

typedef struct side {
    rmr_backend *be;
    rmr_buffer *cache, *counters;
    rmr_op op[MAX_OPS];
    rmr_step *step;
    rmr_step_desc desc;
    rmr_cache_stream stream[2];
    rmr_cache_layout cache_layout;
    unsigned char *block;
} side;

static uint64_t page_bytes(const side *s, const plan *p)
{
    return rmr_cache_page_bytes(&s->cache_layout, p->kv_type);
}

static void side_make(side *s, const plan *p, int gpu, uint32_t cache_pages)
{
    memset(s, 0, sizeof *s);
    s->be = gpu ? check_gpu : check_cpu;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        rmr_op *const o = &s->op[i];
        *o = p->op[i];
        o->w = side_of(o->w, gpu);
        o->w2 = side_of(o->w2, gpu);
        o->s1 = side_of(o->s1, gpu);
        o->s2 = side_of(o->s2, gpu);
        o->bias = side_of(o->bias, gpu);
        if (o->kind == RMR_OP_COUNTS_ADD) {
            const uint64_t n = (uint64_t)p->slot[o->counts.slot].width * 8;
            MUST(s->be->ops->buffer_create(s->be, n, &s->counters, err));
            MUST(s->be->ops->buffer_zero(s->be, s->counters, 0, n, err));
            o->counters = s->counters;
        }
    }
    for (uint32_t i = 0; i < 2; i++)
        s->stream[i] = (rmr_cache_stream){"rows", i, p->cached, p->width, p->rope};
    s->cache_layout = rmr_cache_layout_of(s->stream, 2);
    if (cache_pages > 0) {
        const uint64_t n = cache_pages * page_bytes(s, p);
        MUST(s->be->ops->buffer_create(s->be, n, &s->cache, err));
        MUST(s->be->ops->buffer_zero(s->be, s->cache, 0, n, err));
    }
    s->desc = (rmr_step_desc){
        s->op,       p->n_ops,     p->slot,    p->n_slots,
        p->max_rows, p->max_pages, p->max_out, p->width > 0 ? &s->cache_layout : NULL};
    MUST(s->be->ops->step_create(s->be, &s->desc, &s->step, err));
    s->block = aligned_alloc(
        64, (size_t)rmr_inputs_place(&(rmr_inputs){0}, NULL, p->max_rows, p->max_pages));
}

static void side_free(side *s)
{
    s->be->ops->step_free(s->be, s->step);
    if (s->cache != NULL) s->be->ops->buffer_free(s->be, s->cache);
    if (s->counters != NULL) s->be->ops->buffer_free(s->be, s->counters);
    free(s->block);
}

static void side_run(side *s, const plan *p)
{
    rmr_inputs in = {
        .n_rows = p->n_rows, .n_runs = p->n_runs, .n_pages = p->n_pages, .count_routing = p->count};
    uint64_t mark;
    rmr_inputs_place(&in, s->block, p->max_rows, p->max_pages);
    memcpy(in.token, p->token, p->n_rows * 4);
    memcpy(in.pos, p->pos, p->n_rows * 4);
    memcpy(in.run, p->run, p->n_runs * sizeof *in.run);
    for (uint32_t i = 0; i < p->n_pages; i++)
        in.page[i] = s->be->ops->buffer_address(s->cache) + p->page[i] * page_bytes(s, p);
    MUST(s->be->ops->step_inputs(s->be, s->step, &in, err));
    MUST(s->be->ops->step_want(s->be, s->step, p->want, p->n_want, err));
    const uint32_t of_slice = p->apart ? 1 : p->n_ops;
    for (uint32_t i = 0; i < p->n_ops; i += of_slice) {
        const rmr_slice slice = {i, of_slice};
        MUST(s->be->ops->step_submit(s->be, s->step, &slice, NULL, &mark, err));
    }
    MUST(s->be->ops->step_wait(s->be, s->step, mark, err));
}

static float *side_slot(side *s, const plan *p, uint32_t slot, uint32_t n)
{
    float *const v = malloc((size_t)n * p->slot[slot].width * 4 + 4);
    MUST(s->be->ops->step_read(s->be, s->step, &(rmr_area){slot, 0, p->slot[slot].width, 0, n}, v,
                               err));
    return v;
}

void check_report(const char *name, int bad, const char *text)
{
    check_done++;
    check_bad += bad;
    if (bad || check_loud) printf("%-4s %-64s %s\n", bad ? "BAD" : "ok", name, text);
    fflush(stdout);
}

static double error_of(const float *a, const float *b, size_t n)
{
    double d = 0, s = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        s += (double)b[i] * (double)b[i];
    }
    return d == 0 ? 0 : sqrt(d / s);
}

/* Relative L2 error of a slot's rows, over all of them. */
static void compare(const char *name, side *cpu, side *gpu, const plan *p, uint32_t slot,
                    double limit)
{
    const uint32_t n = p->slot[slot].rows == RMR_ROWS_OUT ? p->n_want : p->n_rows;
    float *const a = side_slot(gpu, p, slot, n), *const b = side_slot(cpu, p, slot, n);
    const double e = error_of(a, b, (size_t)n * p->slot[slot].width);
    char text[64];
    snprintf(text, sizeof text, "error %.2e, limit %.0e", e, limit);
    check_report(name, !(e <= limit), text);
    free(a);
    free(b);
}

/* Tokens first, first + 1, ... at the positions of one run. */
static void rows_plain(plan *p, uint32_t first, uint32_t n)
{
    p->n_rows = n;
    p->n_runs = 1;
    p->run[0] = (rmr_run){0, n, 0, 0, RMR_FORM_ABSORBED, p->kv_type};
    for (uint32_t i = 0; i < n; i++) {
        p->token[i] = (int32_t)(first + i);
        p->pos[i] = i;
    }
}

/* Rows [0, n) together, then each alone: the same bits? */
static void same_bits(const char *name, side *gpu, plan *p, uint32_t slot, uint32_t n)
{
    char text[256];
    int bad = 0;
    rows_plain(p, 0, n);
    side_run(gpu, p);
    float *const all = side_slot(gpu, p, slot, n);
    const uint32_t width = p->slot[slot].width, step = n > 12 ? n / 4 : 1;
    for (uint32_t i = 0; i < n; i += step) {
        rows_plain(p, i, 1);
        side_run(gpu, p);
        float *const one = side_slot(gpu, p, slot, 1);
        bad |= memcmp(one, all + (size_t)i * width, (size_t)width * 4) != 0;
        free(one);
    }
    snprintf(text, sizeof text, "%s: same bits", name);
    check_report(text, bad, "");
    free(all);
}

/* ---- products ---- */

static double limit_of(rmr_elem e)
{
    if (check_exact) return e > RMR_ELEM_F8 ? 3e-6 : 2e-6;
    return e == RMR_ELEM_F32 ? 1e-6 : e == RMR_ELEM_BF16 ? 4e-3 : e <= RMR_ELEM_F8 ? 6e-4 : 3e-6;
}

/* Of 1, 3 and 9 rows, and of n. */
static void check_linear(rmr_elem e, uint32_t rows, uint32_t cols, uint32_t n, int swiglu, int add,
                         int bias)
{
    const uint32_t counts[] = {1, 3, 9, n};
    plan p = {.n_ops = 2, .n_slots = 3, .max_rows = n, .max_pages = 1, .max_out = 1};
    side cpu, gpu;
    char name[128];
    p.slot[0] = (rmr_slot){cols, RMR_ROWS_ALL};
    p.slot[1] = (rmr_slot){rows, RMR_ROWS_ALL};
    p.slot[2] = (rmr_slot){rows / 2 + 1, RMR_ROWS_ALL};
    p.op[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {0, 0}, .n = cols};
    p.op[0].w = weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, n, cols, 1);
    p.op[1] = (rmr_op){
        .kind = swiglu ? RMR_OP_SWIGLU : RMR_OP_LINEAR, .in = {0, 0}, .out = {1, 0}, .n = cols};
    if (add) {
        p.n_ops = 3;
        p.op[2] = p.op[1];
        p.op[1] = (rmr_op){.kind = RMR_OP_EMBED, .out = {1, 0}, .n = rows};
        p.op[1].w = weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, n, rows, 1);
        p.op[2].add = 1;
    }
    rmr_op *const o = &p.op[p.n_ops - 1];
    o->w = weight(RMR_USE_MATRIX, e, 1, rows, cols, 0.1f);
    if (swiglu) o->w2 = weight(RMR_USE_MATRIX, e, 1, rows, cols, 0.1f);
    if (bias) o->bias = weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, rows, 0.1f);
    /* another of the same rows, which may go along */
    rmr_op *const next = &p.op[p.n_ops++];
    *next = (rmr_op){.kind = RMR_OP_LINEAR, .in = {0, 0}, .out = {2, 0}, .n = cols};
    next->w = weight(RMR_USE_MATRIX, e, 1, rows / 2 + 1, cols, 0.1f);
    side_make(&cpu, &p, 0, 0);
    side_make(&gpu, &p, 1, 0);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        snprintf(name, sizeof name, "%s%s%s %s [%u, %u], %u rows", swiglu ? "swiglu" : "linear",
                 add ? " +=" : "", bias ? " + bias" : "", rmr_elem_table[e].name, rows, cols,
                 counts[i]);
        rows_plain(&p, 0, counts[i]);
        side_run(&cpu, &p);
        side_run(&gpu, &p);
        compare(name, &cpu, &gpu, &p, 1, limit_of(e) * (swiglu ? 3 : 1));
        compare("the next one", &cpu, &gpu, &p, 2, limit_of(e));
    }
    same_bits(name, &gpu, &p, 1, n);
    same_bits("the next one", &gpu, &p, 2, n);
    side_free(&cpu);
    side_free(&gpu);
    free_weights();
}

static void check_product(int e)
{
    check_linear((rmr_elem)e, 70, rmr_elem_table[e].values == 256 ? 768 : 352, 40, 0, 0, 0);
}

static void check_long_product(int e)
{
    check_linear((rmr_elem)e, 320, 2048, 40, 0, 0, 0);
    check_linear((rmr_elem)e, 48, rmr_elem_table[e].values == 256 ? 2816 : 1408, 40, 1, 0, 0);
}

static void check_shapes(int which)
{
    (void)which;
    check_linear(RMR_ELEM_Q4_K, 48, 256, 40, 1, 0, 0);
    check_linear(RMR_ELEM_BF16, 33, 37, 40, 0, 1, 1);
    check_linear(RMR_ELEM_F16, 17, 35, 40, 0, 0, 0);
    check_linear(RMR_ELEM_F8, 40, 134, 40, 0, 1, 0);
    check_linear(RMR_ELEM_F32, 40, 31, 40, 1, 0, 0);
    check_linear(RMR_ELEM_BF16, 64, 24, 40, 1, 0, 0);
}

/* So many rows that product_many.cuh takes them, where it is. */
static void check_many(int which)
{
    if (which == 0) check_linear(RMR_ELEM_BF16, 203, 192, 190, 0, 1, 1);
    if (which == 1) check_linear(RMR_ELEM_BF16, 70, 704, 70, 1, 0, 0);
    if (which == 2) check_linear(RMR_ELEM_BF16, 3000, 2048, 200, 0, 0, 0);
    if (which == 3) check_linear(RMR_ELEM_BF16, 1408, 2048, 200, 1, 0, 0);
}

/* The same of every type; a slice of K ends within a stage. */
static void check_many_of(int e)
{
    const uint32_t cols = rmr_elem_table[e].values == 256 ? 768 : e == RMR_ELEM_F8 ? 1152 : 672;
    check_linear((rmr_elem)e, 203, cols, 100, 0, 1, 1);
    check_linear((rmr_elem)e, 70, cols, 190, 1, 0, 0);
}

/* ---- rows ---- */

static void check_embed(int which)
{
    (void)which;
    for (int e = 0; e < RMR_ELEM_COUNT; e++) {
        const uint32_t cols = rmr_elem_table[e].values == 256 ? 512 : 288;
        plan p = {.n_ops = 1, .n_slots = 1, .max_rows = 8, .max_pages = 1, .max_out = 1};
        side cpu, gpu;
        char name[64];
        p.slot[0] = (rmr_slot){cols, RMR_ROWS_ALL};
        p.op[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {0, 0}, .n = cols};
        p.op[0].w = weight(RMR_USE_TABLE, (rmr_elem)e, 1, 16, cols, 1);
        side_make(&cpu, &p, 0, 0);
        side_make(&gpu, &p, 1, 0);
        rows_plain(&p, 5, 8);
        side_run(&cpu, &p);
        side_run(&gpu, &p);
        snprintf(name, sizeof name, "embed %s", rmr_elem_table[e].name);
        compare(name, &cpu, &gpu, &p, 0, 0);
        side_free(&cpu);
        side_free(&gpu);
        free_weights();
    }
}

static void check_rows(int which)
{
    (void)which;
    enum { X, CS, Y, OUT, WIDTH = 4 * 24, HALF = 8 };
    plan p = {.n_ops = 6, .n_slots = 4, .max_rows = 8, .max_pages = 1, .max_out = 8};
    side cpu, gpu;
    p.slot[X] = (rmr_slot){WIDTH, RMR_ROWS_ALL};
    p.slot[CS] = (rmr_slot){2 * HALF, RMR_ROWS_ALL};
    p.slot[Y] = (rmr_slot){WIDTH, RMR_ROWS_ALL};
    p.slot[OUT] = (rmr_slot){WIDTH, RMR_ROWS_OUT};
    p.op[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {X, 0}, .n = WIDTH};
    p.op[0].w = weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, 8, WIDTH, 1);
    p.op[1] = (rmr_op){.kind = RMR_OP_ROPE_TABLE, .out = {CS, 0}, .amp = 1.25f};
    p.op[1].w = weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, HALF, 0.3f);
    p.op[2] = (rmr_op){
        .kind = RMR_OP_NORM, .in = {X, 0}, .out = {Y, 0}, .n = 24, .parts = 4, .eps = 1e-6f};
    p.op[2].w = weight(RMR_USE_VECTOR, RMR_ELEM_BF16, 1, 1, 24, 0.3f);
    p.op[3] = (rmr_op){.kind = RMR_OP_ROPE,
                       .in = {Y, 0},
                       .in2 = {CS, 0},
                       .rotary = {4, 24, 8, 16, RMR_ROPE_INTERLEAVED}};
    p.op[4] = p.op[3];
    p.op[4].rotary.pairs = RMR_ROPE_HALVES;
    p.op[4].rotary.first = 3;
    p.op[5] = (rmr_op){
        .kind = RMR_OP_PICK_ROWS, .rows = RMR_ROWS_OUT, .in = {Y, 0}, .out = {OUT, 0}, .n = WIDTH};
    side_make(&cpu, &p, 0, 0);
    side_make(&gpu, &p, 1, 0);
    rows_plain(&p, 0, 8);
    p.run[0].pos0 = 70000;
    p.max_pages = 1;
    p.run[0].pos0 = 0;
    p.n_want = 3;
    p.want[0] = 1;
    p.want[1] = 4;
    p.want[2] = 7;
    side_run(&cpu, &p);
    side_run(&gpu, &p);
    compare("rope table", &cpu, &gpu, &p, CS, 0);
    compare("norm, rope", &cpu, &gpu, &p, Y, 1e-6);
    compare("picked rows", &cpu, &gpu, &p, OUT, 1e-6);
    side_free(&cpu);
    side_free(&gpu);
    free_weights();
}

/* ---- attention ---- */

typedef struct mla_case {
    uint32_t heads, nope, rope, v, rank, n; /* n: positions of the longest session */
    rmr_kv_type kv;
    rmr_form form;
    rmr_elem elem;
    double limit;
    uint32_t rows; /* that attend at once */
} mla_case;

enum { XQ, XKV, ROPE_CS, QL, Z, O, MLA_SLOTS };

/* Sessions of 1 position up to n: the cache is filled by random rows through CACHE_WRITE, in steps
 * of as many rows as there is room for; then the last rows attend. */
static void mla_plan(plan *p, const mla_case *c, rmr_mla *m)
{
    const uint32_t q = c->heads * (c->nope + c->rope), w = c->rank + c->rope;
    *m = (rmr_mla){c->heads, c->nope, c->rope,
                   c->v,     c->rank, 1.0f / sqrtf((float)(c->nope + c->rope))};
    *p = (plan){.n_slots = MLA_SLOTS,
                .max_rows = 64,
                .max_out = 1,
                .cached = RMR_CACHE_LATENT,
                .width = w,
                .rope = c->rope,
                .kv_type = c->kv};
    const uint32_t width[MLA_SLOTS] = {
        q, w, c->rope, c->heads * w, c->heads * c->rank, c->heads * c->v};
    for (int i = 0; i < MLA_SLOTS; i++) p->slot[i] = (rmr_slot){width[i], RMR_ROWS_ALL};
    if (c->rows > p->max_rows) p->max_rows = c->rows;
    p->max_pages = (c->n + 31 + p->max_rows) / 32;
    p->op[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {XKV, 0}, .n = w};
    p->op[0].w = weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, 97, w, 1);
    p->op[1] = (rmr_op){.kind = RMR_OP_EMBED, .out = {XQ, 0}, .n = q};
    p->op[1].w = weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, 97, q, 0.7f);
    p->op[2] = (rmr_op){.kind = RMR_OP_ROPE_TABLE, .out = {ROPE_CS, 0}, .amp = 1};
    p->op[2].w = weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, c->rope / 2, 0.3f);
    p->op[3] =
        (rmr_op){.kind = RMR_OP_ROPE,
                 .in = {XQ, 0},
                 .in2 = {ROPE_CS, 0},
                 .rotary = {c->heads, c->nope + c->rope, c->nope, c->rope, RMR_ROPE_INTERLEAVED}};
    p->op[4] = (rmr_op){.kind = RMR_OP_CACHE_WRITE,
                        .layer = 1,
                        .stream = 1,
                        .in = {XKV, 0},
                        .in2 = {ROPE_CS, 0},
                        .eps = 1e-6f,
                        .mla = m};
    p->op[4].w = weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, c->rank, 0.2f);
    p->op[5] = (rmr_op){
        .kind = RMR_OP_ABSORB, .layer = 1, .stream = 1, .in = {XQ, 0}, .out = {QL, 0}, .mla = m};
    p->op[5].w = weight(RMR_USE_MATRIX, c->elem, c->heads, c->rank, c->nope, 0.1f);
    p->op[6] = (rmr_op){.kind = RMR_OP_ATTEND_LATENT,
                        .layer = 1,
                        .stream = 1,
                        .in = {QL, 0},
                        .out = {Z, 0},
                        .mla = m};
    p->op[7] = (rmr_op){
        .kind = RMR_OP_UNABSORB, .layer = 1, .stream = 1, .in = {Z, 0}, .out = {O, 0}, .mla = m};
    p->op[7].w = weight(RMR_USE_MATRIX, c->elem, c->heads, c->v, c->rank, 0.1f);
    p->op[8] = (rmr_op){.kind = RMR_OP_ATTEND_EXPANDED,
                        .layer = 1,
                        .stream = 1,
                        .in = {XQ, 0},
                        .out = {O, 0},
                        .mla = m};
    p->op[8].w = p->op[5].w;
    p->op[8].w2 = p->op[7].w;
    p->n_ops = 9;
}

static void rows_at(plan *p, uint32_t pos0, uint32_t n, rmr_form form)
{
    rows_plain(p, 0, n);
    p->run[0].pos0 = pos0;
    p->run[0].form = form;
    for (uint32_t i = 0; i < n; i++) {
        p->pos[i] = pos0 + i;
        p->token[i] = (int32_t)((pos0 + i) * 7 % 97);
    }
    p->n_pages = (pos0 + n + 31) / 32;
    for (uint32_t i = 0; i < p->n_pages; i++) p->page[i] = (i * 5 + 3) % p->max_pages;
}

static int coprime_pages(plan *p)
{
    while (p->max_pages % 5 == 0) p->max_pages++;
    return 0;
}

static void fill_cache(plan *p, side *cpu, side *gpu, uint32_t n, uint32_t n_ops)
{
    const uint32_t all = p->n_ops;
    p->n_ops = n_ops;
    for (uint32_t at = 0; at < n; at += p->max_rows) {
        rows_at(p, at, n - at < p->max_rows ? n - at : p->max_rows, RMR_FORM_ABSORBED);
        side_run(cpu, p);
        side_run(gpu, p);
    }
    p->n_ops = all;
}

static void compare_caches(const char *name, side *cpu, side *gpu, const plan *p, double limit)
{
    const uint64_t n = p->max_pages * page_bytes(gpu, p);
    unsigned char *const a = malloc(n), *const b = malloc(n);
    uint64_t differ = 0;
    char text[64];
    MUST(gpu->be->ops->buffer_read(gpu->be, gpu->cache, 0, a, n, err));
    MUST(cpu->be->ops->buffer_read(cpu->be, cpu->cache, 0, b, n, err));
    for (uint64_t i = 0; i < n; i++) differ += a[i] != b[i];
    snprintf(text, sizeof text, "%.4f %% of the bytes differ", 100.0 * (double)differ / (double)n);
    check_report(name, p->kv_type != RMR_KV_F32 && (double)differ > limit * (double)n, text);
    /* both go on from the same cache */
    free(a);
    free(b);
}

static void check_mla(const mla_case *c)
{
    static const char *const kv[] = {"bf16", "f32", "int8"};
    plan p;
    rmr_mla m;
    side cpu, gpu;
    char name[160], text[200];
    mla_plan(&p, c, &m);
    coprime_pages(&p);
    side_make(&cpu, &p, 0, p.max_pages);
    side_make(&gpu, &p, 1, p.max_pages);
    snprintf(name, sizeof name, "mla %u heads, %u/%u/%u/%u, %s, %s, %u positions, %s", c->heads,
             c->nope, c->rope, c->v, c->rank, kv[c->kv], c->form ? "expanded" : "absorbed", c->n,
             rmr_elem_table[c->elem].name);
    fill_cache(&p, &cpu, &gpu, c->n, 5);
    snprintf(text, sizeof text, "%s: cache", name);
    compare_caches(text, &cpu, &gpu, &p, 0.01);
    const uint32_t seen[] = {1, 63, 64, 65, c->n / 2, c->n};
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        if (seen[i] > c->n) continue;
        rows_at(&p, seen[i] - 1, 1, c->form);
        side_run(&cpu, &p);
        side_run(&gpu, &p);
        snprintf(text, sizeof text, "%s: row %u", name, seen[i]);
        compare(text, &cpu, &gpu, &p, O, c->limit);
    }
    const uint32_t some = c->n < c->rows ? c->n : c->rows;
    rows_at(&p, c->n - some, some, c->form);
    side_run(&cpu, &p);
    side_run(&gpu, &p);
    snprintf(text, sizeof text, "%s: %u rows", name, some);
    compare(text, &cpu, &gpu, &p, O, c->limit);
    float *const all = side_slot(&gpu, &p, O, some);
    int bad = 0;
    for (uint32_t i = 0; i<some; i += some> 40 ? 31 : 9) {
        rows_at(&p, c->n - some + i, 1, c->form);
        side_run(&gpu, &p);
        float *const one = side_slot(&gpu, &p, O, 1);
        bad |= memcmp(one, all + (size_t)i * p.slot[O].width, p.slot[O].width * 4) != 0;
        free(one);
    }
    snprintf(text, sizeof text, "%s: same bits", name);
    check_report(text, bad, "");
    free(all);
    side_free(&cpu);
    side_free(&gpu);
    free_weights();
}

enum { LATENT_SMALL = 7, LATENT_ALL = 13 };

static void check_latent(int which)
{
    const double bf16 = check_exact ? 1e-4 : 1e-2;
    const mla_case all[LATENT_ALL] = {
        {3, 24, 8, 20, 40, 200, RMR_KV_F32, RMR_FORM_ABSORBED, RMR_ELEM_F32, 1e-5, 40},
        {3, 24, 8, 20, 40, 150, RMR_KV_F32, RMR_FORM_EXPANDED, RMR_ELEM_F32, 1e-5, 40},
        {5, 16, 6, 16, 300, 150, RMR_KV_INT8, RMR_FORM_ABSORBED, RMR_ELEM_BF16, 2e-2, 40},
        {3, 24, 8, 20, 40, 90, RMR_KV_BF16, RMR_FORM_ABSORBED, RMR_ELEM_F8, 1e-2, 40},
        {2, 32, 8, 32, 64, 90, RMR_KV_INT8, RMR_FORM_EXPANDED, RMR_ELEM_Q8_0, 2e-2, 40},
        {18, 64, 64, 32, 512, 150, RMR_KV_BF16, RMR_FORM_ABSORBED, RMR_ELEM_BF16, bf16, 40},
        {17, 32, 64, 32, 512, 150, RMR_KV_INT8, RMR_FORM_ABSORBED, RMR_ELEM_BF16, 2e-2, 40},
        {16, 128, 64, 128, 512, 4500, RMR_KV_BF16, RMR_FORM_ABSORBED, RMR_ELEM_BF16, bf16, 40},
        {16, 128, 64, 128, 512, 9000, RMR_KV_BF16, RMR_FORM_ABSORBED, RMR_ELEM_BF16, bf16, 40},
        {128, 128, 64, 128, 512, 700, RMR_KV_BF16, RMR_FORM_ABSORBED, RMR_ELEM_BF16, bf16, 40},
        {16, 128, 64, 128, 512, 1500, RMR_KV_INT8, RMR_FORM_ABSORBED, RMR_ELEM_BF16, 2e-2, 40},
        {16, 128, 64, 128, 512, 700, RMR_KV_BF16, RMR_FORM_EXPANDED, RMR_ELEM_BF16, bf16, 290},
        {20, 192, 64, 256, 512, 600, RMR_KV_BF16, RMR_FORM_EXPANDED, RMR_ELEM_Q8_0, 2e-2, 40},
    };
    check_mla(&all[which]);
}

static void check_gqa(uint32_t heads, uint32_t kv_heads, uint32_t dim, rmr_kv_type kv, uint32_t n,
                      double limit)
{
    enum { Q, KV, OUT };
    const rmr_gqa g = {heads, kv_heads, dim, 1.0f / sqrtf((float)dim)};
    plan p = {.n_ops = 4,
              .n_slots = 3,
              .max_rows = 64,
              .max_out = 1,
              .cached = RMR_CACHE_KEYS_VALUES,
              .width = 2 * kv_heads * dim,
              .kv_type = kv};
    side cpu, gpu;
    char name[128];
    p.max_pages = (n + 95) / 32;
    coprime_pages(&p);
    p.slot[Q] = p.slot[OUT] = (rmr_slot){heads * dim, RMR_ROWS_ALL};
    p.slot[KV] = (rmr_slot){2 * kv_heads * dim, RMR_ROWS_ALL};
    p.op[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {KV, 0}, .n = 2 * kv_heads * dim};
    p.op[0].w = weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, 97, 2 * kv_heads * dim, 1);
    p.op[1] = (rmr_op){.kind = RMR_OP_EMBED, .out = {Q, 0}, .n = heads * dim};
    p.op[1].w = weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, 97, heads * dim, 1);
    p.op[2] =
        (rmr_op){.kind = RMR_OP_CACHE_WRITE, .layer = 1, .stream = 1, .in = {KV, 0}, .gqa = &g};
    p.op[3] = (rmr_op){.kind = RMR_OP_ATTEND_GROUPED,
                       .layer = 1,
                       .stream = 1,
                       .in = {Q, 0},
                       .out = {OUT, 0},
                       .gqa = &g};
    side_make(&cpu, &p, 0, p.max_pages);
    side_make(&gpu, &p, 1, p.max_pages);
    fill_cache(&p, &cpu, &gpu, n, 3);
    rows_at(&p, n - 20, 20, RMR_FORM_ABSORBED);
    side_run(&cpu, &p);
    side_run(&gpu, &p);
    snprintf(name, sizeof name, "grouped %u/%u heads of %u, %s, %u positions", heads, kv_heads, dim,
             kv == RMR_KV_F32 ? "f32" : "bf16", n);
    compare(name, &cpu, &gpu, &p, OUT, limit);
    side_free(&cpu);
    side_free(&gpu);
    free_weights();
}

static void check_grouped(int which)
{
    if (which == 0) check_gqa(6, 2, 20, RMR_KV_F32, 150, 1e-5);
    if (which == 1) check_gqa(4, 4, 32, RMR_KV_BF16, 80, 1e-5);
    if (which == 2) check_gqa(32, 8, 128, RMR_KV_BF16, 1200, 1e-5);
}

/* ---- experts ---- */

static void check_moe(const rmr_moe *m, uint32_t hidden, rmr_elem e, rmr_elem es, uint32_t n,
                      double limit)
{
    enum { H, ROUTER, IDS, WEIGHTS, OUT, COUNTS, FF, SLOTS };
    const uint32_t counts[] = {1, 2, 13, n};
    plan p = {
        .n_ops = 8, .n_slots = SLOTS, .max_rows = n, .max_pages = 1, .max_out = 1, .count = 1};
    side cpu, gpu;
    char name[128], text[160];
    const uint32_t width[SLOTS] = {hidden,
                                   m->n_experts,
                                   m->n_used,
                                   m->n_used,
                                   hidden,
                                   m->n_experts,
                                   m->n_used * m->inner + m->shared_inner};
    for (int i = 0; i < SLOTS; i++)
        p.slot[i] = (rmr_slot){width[i], i == COUNTS ? RMR_ROWS_ONE : RMR_ROWS_ALL};
    p.op[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {H, 0}, .n = hidden};
    p.op[0].w = weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, n, hidden, 1);
    p.op[1] = (rmr_op){.kind = RMR_OP_EMBED, .out = {OUT, 0}, .n = hidden};
    p.op[1].w = weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, n, hidden, 0.01f);
    p.op[2] = (rmr_op){.kind = RMR_OP_LINEAR, .in = {H, 0}, .out = {ROUTER, 0}, .n = hidden};
    p.op[2].w = weight(RMR_USE_MATRIX, RMR_ELEM_BF16, 1, m->n_experts, hidden, 0.1f);
    p.op[3] = (rmr_op){.kind = RMR_OP_COUNTS_CLEAR, .counts = {COUNTS, 0}};
    p.op[4] = (rmr_op){.kind = RMR_OP_GATE,
                       .in = {ROUTER, 0},
                       .out = {IDS, 0},
                       .out2 = {WEIGHTS, 0},
                       .counts = {COUNTS, 0},
                       .moe = m};
    if (m->gate == RMR_GATE_SIGMOID)
        p.op[4].w = weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, m->n_experts, 0.1f);
    p.op[5] = (rmr_op){.kind = RMR_OP_EXPERTS_SWIGLU,
                       .in = {H, 0},
                       .in2 = {IDS, 0},
                       .out = {FF, 0},
                       .out2 = {FF, m->n_used * m->inner},
                       .n = hidden,
                       .moe = m};
    p.op[6] = (rmr_op){.kind = RMR_OP_EXPERTS_DOWN,
                       .in = {FF, 0},
                       .in2 = {IDS, 0},
                       .in3 = {WEIGHTS, 0},
                       .out = {OUT, 0},
                       .n = m->inner,
                       .moe = m};
    p.op[5].w = weight(RMR_USE_MATRIX, e, m->n_experts, m->inner, hidden, 0.1f);
    p.op[5].w2 = weight(RMR_USE_MATRIX, e, m->n_experts, m->inner, hidden, 0.1f);
    p.op[6].w = weight(RMR_USE_MATRIX, e, m->n_experts, hidden, m->inner, 0.1f);
    if (m->shared_inner > 0) {
        p.op[5].s1 = weight(RMR_USE_MATRIX, es, 1, m->shared_inner, hidden, 0.1f);
        p.op[5].s2 = weight(RMR_USE_MATRIX, es, 1, m->shared_inner, hidden, 0.1f);
        p.op[6].s1 = weight(RMR_USE_MATRIX, es, 1, hidden, m->shared_inner, 0.1f);
    }
    p.op[7] = (rmr_op){.kind = RMR_OP_COUNTS_ADD, .counts = {COUNTS, 0}};
    side_make(&cpu, &p, 0, 0);
    side_make(&gpu, &p, 1, 0);
    snprintf(name, sizeof name, "experts %s/%s, %u of %u, gate %d", rmr_elem_table[e].name,
             rmr_elem_table[es].name, m->n_used, m->n_experts, (int)m->gate);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        rows_plain(&p, 0, counts[i]);
        side_run(&cpu, &p);
        side_run(&gpu, &p);
        snprintf(text, sizeof text, "%s, %u rows: chosen", name, counts[i]);
        compare(text, &cpu, &gpu, &p, IDS, 0);
        snprintf(text, sizeof text, "%s, %u rows: weights", name, counts[i]);
        compare(text, &cpu, &gpu, &p, WEIGHTS, 1e-5);
        snprintf(text, sizeof text, "%s, %u rows", name, counts[i]);
        compare(text, &cpu, &gpu, &p, OUT, limit);
    }
    uint64_t a[512], b[512];
    MUST(cpu.be->ops->counters_read(cpu.be, cpu.counters, 0, a, m->n_experts, 0, err));
    MUST(gpu.be->ops->counters_read(gpu.be, gpu.counters, 0, b, m->n_experts, 1, err));
    snprintf(text, sizeof text, "%s: counters", name);
    check_report(text, memcmp(a, b, m->n_experts * 8) != 0, "");
    same_bits(name, &gpu, &p, OUT, n);
    side_free(&cpu);
    side_free(&gpu);
    free_weights();
}

static void check_experts(int which)
{
    const double bf16 = check_exact ? 1e-5 : 1e-2, f8 = check_exact ? 1e-5 : 2e-3;
    const rmr_moe softmax = {RMR_GATE_SOFTMAX, 7, 3, 1, 1, 0, 1.5f, 48, 96},
                  group = {RMR_GATE_SOFTMAX_GROUP, 12, 2, 4, 2, 0, 16, 32, 0},
                  sigmoid = {RMR_GATE_SIGMOID, 16, 4, 4, 2, 1, 2.5f, 64, 32},
                  lite = {RMR_GATE_SOFTMAX, 20, 6, 1, 1, 0, 1, 1408, 2816},
                  few = {RMR_GATE_SOFTMAX, 3, 2, 1, 1, 0, 1, 192, 64},
                  coded = {RMR_GATE_SOFTMAX, 3, 2, 1, 1, 0, 1, 256, 128};
    if (which == 0) check_moe(&softmax, 64, RMR_ELEM_BF16, RMR_ELEM_Q8_0, 60, bf16);
    if (which == 1) check_moe(&group, 96, RMR_ELEM_Q4_0, RMR_ELEM_Q4_0, 60, 2e-2);
    if (which == 2)
        check_moe(&sigmoid, 64, RMR_ELEM_F8, RMR_ELEM_BF16, 60, check_exact ? f8 : bf16);
    if (which == 3) check_moe(&lite, 2048, RMR_ELEM_BF16, RMR_ELEM_BF16, 200, bf16);
    if (which == 4) check_moe(&few, 128, RMR_ELEM_BF16, RMR_ELEM_BF16, 70, bf16);
    if (which == 5) check_moe(&few, 128, RMR_ELEM_BF16, RMR_ELEM_BF16, 190, bf16);
    if (which == 6) check_moe(&coded, 256, RMR_ELEM_Q4_K, RMR_ELEM_Q4_0, 90, 2e-2);
    if (which == 7) check_moe(&coded, 256, RMR_ELEM_F8, RMR_ELEM_F8, 90, f8);
}

/* ---- a layer of one row ---- */

/* Types of most weights, of those that absorb, of routed down products, and of the router. */
typedef struct layer_case {
    rmr_elem elem, absorb, down, router;
    rmr_mla mla;
    uint32_t hidden, inner; /* inner: of a layer without experts */
    rmr_moe moe;            /* n_used 0: it has none */
} layer_case;

enum { LX, LH, LQ, LKV, LQL, LZ, LO, LFF, LROUTER, LIDS, LWEIGHTS, LCS, LCOUNTS, LAYER_SLOTS };

static rmr_op *next_op(plan *p, rmr_op op)
{
    p->op[p->n_ops] = op;
    return &p->op[p->n_ops++];
}

static void add_norm(plan *p, uint32_t n)
{
    next_op(p, (rmr_op){.kind = RMR_OP_NORM, .in = {LX, 0}, .out = {LH, 0}, .n = n, .eps = 1e-6f})
        ->w = weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, n, 0.2f);
}

static void add_linear(plan *p, rmr_elem e, uint32_t from, uint32_t cols, uint32_t to, int more)
{
    next_op(
        p, (rmr_op){.kind = RMR_OP_LINEAR, .in = {from, 0}, .out = {to, 0}, .n = cols, .add = more})
        ->w = weight(RMR_USE_MATRIX, e, 1, p->slot[to].width, cols, 0.1f);
}

static void add_attention(plan *p, const layer_case *c)
{
    const rmr_mla *const m = &c->mla;
    add_norm(p, c->hidden);
    add_linear(p, c->elem, LH, c->hidden, LQ, 0);
    add_linear(p, c->elem, LH, c->hidden, LKV, 0);
    next_op(p, (rmr_op){.kind = RMR_OP_ROPE, .in = {LQ, 0}, .in2 = {LCS, 0}})->rotary =
        (rmr_rotary){m->heads, m->nope + m->rope, m->nope, m->rope, RMR_ROPE_INTERLEAVED};
    next_op(p, (rmr_op){.kind = RMR_OP_CACHE_WRITE,
                        .layer = 1,
                        .stream = 1,
                        .in = {LKV, 0},
                        .in2 = {LCS, 0},
                        .eps = 1e-6f,
                        .mla = m})
        ->w = weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, m->rank, 0.2f);
    next_op(p, (rmr_op){.kind = RMR_OP_ABSORB,
                        .layer = 1,
                        .stream = 1,
                        .in = {LQ, 0},
                        .out = {LQL, 0},
                        .mla = m})
        ->w = weight(RMR_USE_MATRIX, c->absorb, m->heads, m->rank, m->nope, 0.1f);
    next_op(p, (rmr_op){.kind = RMR_OP_ATTEND_LATENT,
                        .layer = 1,
                        .stream = 1,
                        .in = {LQL, 0},
                        .out = {LZ, 0},
                        .mla = m});
    next_op(p, (rmr_op){.kind = RMR_OP_UNABSORB,
                        .layer = 1,
                        .stream = 1,
                        .in = {LZ, 0},
                        .out = {LO, 0},
                        .mla = m})
        ->w = weight(RMR_USE_MATRIX, c->elem, m->heads, m->v, m->rank, 0.1f);
    add_linear(p, c->elem, LO, m->heads * m->v, LX, 1);
}

static void add_dense(plan *p, const layer_case *c)
{
    rmr_op *const o =
        next_op(p, (rmr_op){.kind = RMR_OP_SWIGLU, .in = {LH, 0}, .out = {LFF, 0}, .n = c->hidden});
    o->w = weight(RMR_USE_MATRIX, c->elem, 1, c->inner, c->hidden, 0.1f);
    o->w2 = weight(RMR_USE_MATRIX, c->elem, 1, c->inner, c->hidden, 0.1f);
    add_linear(p, c->down, LFF, c->inner, LX, 1);
}

static void add_experts(plan *p, const layer_case *c)
{
    const rmr_moe *const m = &c->moe;
    add_linear(p, c->router, LH, c->hidden, LROUTER, 0);
    next_op(p, (rmr_op){.kind = RMR_OP_GATE,
                        .in = {LROUTER, 0},
                        .out = {LIDS, 0},
                        .out2 = {LWEIGHTS, 0},
                        .counts = {LCOUNTS, 0},
                        .moe = m});
    rmr_op *o = next_op(p, (rmr_op){.kind = RMR_OP_EXPERTS_SWIGLU,
                                    .in = {LH, 0},
                                    .in2 = {LIDS, 0},
                                    .out = {LFF, 0},
                                    .out2 = {LFF, m->n_used * m->inner},
                                    .n = c->hidden,
                                    .moe = m});
    o->w = weight(RMR_USE_MATRIX, c->elem, m->n_experts, m->inner, c->hidden, 0.1f);
    o->w2 = weight(RMR_USE_MATRIX, c->elem, m->n_experts, m->inner, c->hidden, 0.1f);
    if (m->shared_inner > 0) {
        o->s1 = weight(RMR_USE_MATRIX, c->elem, 1, m->shared_inner, c->hidden, 0.1f);
        o->s2 = weight(RMR_USE_MATRIX, c->elem, 1, m->shared_inner, c->hidden, 0.1f);
    }
    o = next_op(p, (rmr_op){.kind = RMR_OP_EXPERTS_DOWN,
                            .in = {LFF, 0},
                            .in2 = {LIDS, 0},
                            .in3 = {LWEIGHTS, 0},
                            .out = {LX, 0},
                            .n = m->inner,
                            .moe = m});
    o->w = weight(RMR_USE_MATRIX, c->down, m->n_experts, c->hidden, m->inner, 0.1f);
    if (m->shared_inner > 0)
        o->s1 = weight(RMR_USE_MATRIX, c->elem, 1, c->hidden, m->shared_inner, 0.1f);
}

static void layer_plan(plan *p, const layer_case *c)
{
    const rmr_mla *const m = &c->mla;
    const uint32_t q = m->heads * (m->nope + m->rope), w = m->rank + m->rope;
    const uint32_t width[LAYER_SLOTS] = {c->hidden,
                                         c->hidden,
                                         q,
                                         w,
                                         m->heads * w,
                                         m->heads * m->rank,
                                         m->heads * m->v,
                                         c->inner + c->moe.n_used * c->moe.inner +
                                             c->moe.shared_inner,
                                         c->moe.n_experts + 1,
                                         c->moe.n_used + 1,
                                         c->moe.n_used + 1,
                                         m->rope,
                                         c->moe.n_experts + 1};
    *p = (plan){.n_slots = LAYER_SLOTS,
                .max_rows = 40,
                .max_pages = 7,
                .max_out = 1,
                .cached = RMR_CACHE_LATENT,
                .width = w,
                .rope = m->rope,
                .kv_type = RMR_KV_BF16};
    for (int i = 0; i < LAYER_SLOTS; i++)
        p->slot[i] = (rmr_slot){width[i], i == LCOUNTS ? RMR_ROWS_ONE : RMR_ROWS_ALL};
    if (c->moe.n_used > 0) { /* without experts they have a column that nobody reads */
        p->slot[LROUTER].width = c->moe.n_experts;
        p->slot[LIDS].width = p->slot[LWEIGHTS].width = c->moe.n_used;
    }
    next_op(p, (rmr_op){.kind = RMR_OP_EMBED, .out = {LX, 0}, .n = c->hidden})->w =
        weight(RMR_USE_TABLE, RMR_ELEM_F32, 1, 97, c->hidden, 1);
    next_op(p, (rmr_op){.kind = RMR_OP_ROPE_TABLE, .out = {LCS, 0}, .amp = 1})->w =
        weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, m->rope / 2, 0.3f);
    add_attention(p, c);
    add_norm(p, c->hidden);
    if (c->moe.n_used > 0)
        add_experts(p, c);
    else
        add_dense(p, c);
}

/* All of a slot as it lies in memory. */
static int same_slot(side *a, side *b, const plan *p, uint32_t slot)
{
    float *const x = side_slot(a, p, slot, 1), *const y = side_slot(b, p, slot, 1);
    const int same = memcmp(x, y, (size_t)p->slot[slot].width * 4) == 0;
    free(x);
    free(y);
    return same;
}

/* The operations of a row in one slice, some of which go together, and each in one of its own; two
 * times a layer, for what goes together leaves counters behind. */
static void check_layer_of(const layer_case *c)
{
    plan p;
    side cpu, whole, apart;
    char name[128], text[200];
    layer_plan(&p, c);
    side_make(&cpu, &p, 0, p.max_pages);
    side_make(&whole, &p, 1, p.max_pages);
    side_make(&apart, &p, 1, p.max_pages);
    snprintf(name, sizeof name, "layer of %s, %s, %s, %s, %u experts", rmr_elem_table[c->elem].name,
             rmr_elem_table[c->absorb].name, rmr_elem_table[c->down].name,
             rmr_elem_table[c->router].name, c->moe.n_experts);
    for (uint32_t pos = 0; pos < 5; pos++) {
        rows_at(&p, pos, 1, RMR_FORM_ABSORBED);
        side_run(&cpu, &p);
        side_run(&whole, &p);
        p.apart = 1;
        side_run(&apart, &p);
        p.apart = 0;
        int bad = 0;
        for (uint32_t i = 0; i < LAYER_SLOTS; i++) {
            if (i == LCOUNTS || (c->moe.n_used == 0 && i >= LROUTER && i <= LWEIGHTS)) continue;
            if (same_slot(&whole, &apart, &p, i)) continue;
            bad = 1;
            printf("slot %u differs\n", i);
        }
        snprintf(text, sizeof text, "%s, position %u: same bits", name, pos);
        check_report(text, bad, "");
        snprintf(text, sizeof text, "%s, position %u", name, pos);
        compare(text, &cpu, &whole, &p, LO, 3e-2);
        if (c->moe.n_used == 0) compare(text, &cpu, &whole, &p, LX, 3e-2);
    }
    side_free(&cpu);
    side_free(&whole);
    side_free(&apart);
    free_weights();
}

enum { LAYERS_SMALL = 5, LAYERS_ALL = 8 };

static void check_layer(int which)
{
    const rmr_mla small = {3, 32, 8, 32, 64, 0.15f}, coded = {2, 128, 64, 128, 256, 0.07f},
                  lite = {16, 128, 64, 128, 512, 0.07f};
    const rmr_moe few = {RMR_GATE_SOFTMAX, 40, 3, 1, 1, 0, 1.5f, 48, 96},
                  groups = {RMR_GATE_SIGMOID, 16, 4, 4, 2, 1, 2.5f, 64, 0},
                  plain = {RMR_GATE_SOFTMAX, 9, 3, 1, 1, 0, 1, 64, 96},
                  some = {RMR_GATE_SOFTMAX, 5, 2, 1, 1, 0, 1, 96, 256},
                  many = {RMR_GATE_SOFTMAX, 8, 6, 1, 1, 0, 1, 1408, 2816};
    const layer_case all[LAYERS_ALL] = {
        {RMR_ELEM_BF16, RMR_ELEM_BF16, RMR_ELEM_BF16, RMR_ELEM_BF16, small, 200, 0, few},
        {RMR_ELEM_F8, RMR_ELEM_F8, RMR_ELEM_F8, RMR_ELEM_BF16, small, 136, 0, groups},
        {RMR_ELEM_Q4_K, RMR_ELEM_Q8_0, RMR_ELEM_Q4_0, RMR_ELEM_BF16, coded, 256, 0, some},
        {RMR_ELEM_Q8_0, RMR_ELEM_Q8_0, RMR_ELEM_Q8_0, RMR_ELEM_F32, small, 96, 0, plain},
        {RMR_ELEM_BF16, RMR_ELEM_BF16, RMR_ELEM_BF16, RMR_ELEM_BF16, small, 200, 300, {0}},
        {RMR_ELEM_BF16, RMR_ELEM_BF16, RMR_ELEM_BF16, RMR_ELEM_BF16, lite, 2048, 0, many},
        {RMR_ELEM_F8, RMR_ELEM_F8, RMR_ELEM_F8, RMR_ELEM_BF16, lite, 2048, 0, many},
        {RMR_ELEM_Q4_K, RMR_ELEM_Q8_0, RMR_ELEM_Q4_0, RMR_ELEM_BF16, lite, 2048, 0, many}};
    check_layer_of(&all[which]);
}

/* ---- all of them, by name ---- */

static void several(check_visit *visit, void *arg, const char *name, void (*run)(int), int first,
                    int end, int large)
{
    for (int i = first; i < end; i++) {
        char text[64];
        const char *const of = strchr(name, '%') != NULL ? rmr_elem_table[i].name : "";
        if (*of != 0)
            snprintf(text, sizeof text, "%.*s%s", (int)strcspn(name, "%"), name, of);
        else
            snprintf(text, sizeof text, "%s%d", name, i);
        visit(arg, text, run, i, large);
    }
}

void check_visit_all(check_visit *visit, void *arg)
{
    visit(arg, "embed", check_embed, 0, 0);
    visit(arg, "rows", check_rows, 0, 0);
    several(visit, arg, "best-", check_best, 0, CHECK_BEST_SMALL, 0);
    several(visit, arg, "best-", check_best, CHECK_BEST_SMALL, CHECK_BEST_ALL, 1);
    visit(arg, "shapes", check_shapes, 0, 0);
    several(visit, arg, "product-%", check_product, 0, RMR_ELEM_COUNT, 0);
    several(visit, arg, "long-%", check_long_product, 0, RMR_ELEM_COUNT, 1);
    several(visit, arg, "latent-", check_latent, 0, LATENT_SMALL, 0);
    several(visit, arg, "latent-", check_latent, LATENT_SMALL, LATENT_ALL, 1);
    several(visit, arg, "grouped-", check_grouped, 0, 2, 0);
    several(visit, arg, "grouped-", check_grouped, 2, 3, 1);
    several(visit, arg, "experts-", check_experts, 0, 3, 0);
    several(visit, arg, "experts-", check_experts, 3, 4, 1);
    several(visit, arg, "experts-", check_experts, 4, 8, 0);
    several(visit, arg, "layer-", check_layer, 0, LAYERS_SMALL, 0);
    several(visit, arg, "layer-", check_layer, LAYERS_SMALL, LAYERS_ALL, 1);
    several(visit, arg, "many-%", check_many_of, 0, RMR_ELEM_COUNT, 0);
    several(visit, arg, "many-", check_many, 0, 2, 0);
    several(visit, arg, "many-", check_many, 2, 4, 1);
}
