/* SPDX-License-Identifier: Apache-2.0 */
/* Times of operations on a GPU beside the time in which it can read their bytes. Weights are random
 * bytes that no type has an infinity for; there are so many of them that caches do not help. */
#include "bench_gpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cuda.h"
#include "must.h"
#include "step_calls.h"

enum { MAX_OPS = 1024, REPEATS = 15, MAX_PAGES = 1 << 16 };

static rmr_cuda *c;
static rmr_cu_module module;
static double roof; /* bytes a microsecond */

#define DRIVER(call) MUST(rmr_cuda_check(c, (call), #call, err))

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static void wait_stream(rmr_cu_stream s)
{
    DRIVER(c->d.event_record(c->changed, s));
    MUST(rmr_cuda_wait(c, c->changed, err));
}

static void launch(const char *name, uint32_t grid, uint32_t threads, void **params)
{
    rmr_cu_function f;
    DRIVER(c->d.module_function(&f, module, name));
    DRIVER(c->d.launch(f, grid, 1, 1, threads, 1, 1, 0, c->stream, params, NULL));
}

static void fill(rmr_cu_address at, uint64_t bytes, uint32_t mask)
{
    static uint32_t seed = 77;
    uint64_t n = bytes / 4;
    seed = seed * 1664525 + 1013904223;
    launch("bench_fill", (uint32_t)c->sms * 8, 256, (void *[]){&at, &n, &seed, &mask});
}

static void measure_roof(void)
{
    const uint64_t bytes = 4ull << 30;
    uint64_t n = bytes / 16;
    double us[9];
    rmr_cu_address at;
    DRIVER(c->d.memory_alloc(&at, bytes + 16));
    fill(at, bytes, 0x37373737);
    wait_stream(c->stream);
    rmr_cu_address out = at + bytes;
    for (int i = 0; i < 9; i++) {
        const uint64_t begin = rmr_clock_us();
        launch("bench_read", (uint32_t)c->sms * 2, 512, (void *[]){&at, &n, &out});
        wait_stream(c->stream);
        us[i] = (double)(rmr_clock_us() - begin);
    }
    roof = (double)bytes / median(us, 9);
    printf("read roof %.0f GB/s\n", roof / 1e3);
    DRIVER(c->d.memory_free(at));
}

/* Do wgmma's chains have mma's bits? */
static void ask_chains(void)
{
    typedef struct chain_args {
        rmr_cu_address a, b, d;
        uint32_t n, k, how, lbo, sbo;
    } chain_args;
    enum { N = 64, K = 2048 };
    static const char *const how[] = {"bench_chain", "bench_chain_wgmma8", "bench_chain_wgmma64"};
    static float d[3][64 * N];
    chain_args x = {.n = N, .k = K};
    DRIVER(c->d.memory_alloc(&x.a, 64 * K * 2));
    DRIVER(c->d.memory_alloc(&x.b, N * K * 2));
    DRIVER(c->d.memory_alloc(&x.d, sizeof d[0]));
    fill(x.a, 64 * K * 2, 0xbfffbfff);
    fill(x.b, N * K * 2, 0xbfffbfff);
    /* bytes / 16 from one core matrix to the next along K, and to that of the next 8 columns */
    x.lbo = 8;
    x.sbo = 16;
    for (int i = 0; i < 3; i++) {
        launch(how[i], 1, 128, (void *[]){&x});
        DRIVER(c->d.copy_out(d[i], x.d, sizeof d[i], c->stream));
        wait_stream(c->stream);
        double far = 0, all = 0;
        int same = 0;
        for (int k = 0; k < 64 * N; k++) {
            same += memcmp(&d[i][k], &d[0][k], 4) == 0;
            far += fabs((double)d[i][k] - (double)d[0][k]);
            all += fabs((double)d[0][k]);
        }
        printf("%s: %d of %d results have mma's bits, mean difference %.1e of the mean\n", how[i],
               same, 64 * N, far / all);
    }
    DRIVER(c->d.memory_free(x.a));
    DRIVER(c->d.memory_free(x.b));
    DRIVER(c->d.memory_free(x.d));
}

/* ---- weights and steps ---- */

static rmr_weight *made[4096];
static uint32_t n_made;

static rmr_weight *random_weight(rmr_weight_use use, rmr_elem e, uint32_t count, uint32_t rows,
                                 uint32_t cols)
{
    const rmr_weight_desc d = {use, e, count, rows, cols, {RMR_SHARE_NONE, 1}};
    rmr_weight *w;
    MUST(rmr_cuda_weight_create(&c->base, &d, &w, err));
    fill(w->at, w->layout.bytes,
         use == RMR_USE_VECTOR || e == RMR_ELEM_F32 ? 0x3f7fffff : 0x37373737);
    w->finished = 1; /* random bytes have no order */
    return made[n_made++] = w;
}

static void free_weights(void)
{
    while (n_made > 0) rmr_cuda_weight_free(&c->base, made[--n_made]);
}

typedef struct program {
    rmr_op op[MAX_OPS];
    uint32_t n;
    rmr_slot slot[20];
    uint32_t n_slots;
    rmr_cache_stream stream[32]; /* of latents, one a layer */
    rmr_cache_layout cache;
    double bytes; /* of weights and caches that a step reads */
} program;

static program p;

static void add(rmr_op op)
{
    p.op[p.n++] = op;
}

/* The cache has that many layers of latents. */
static void add_cache(uint32_t layers)
{
    for (uint32_t i = 0; i < layers; i++)
        p.stream[i] = (rmr_cache_stream){RMR_STREAM_LATENT, i, RMR_CACHE_LATENT, 576, 64};
    p.cache = rmr_cache_layout_of(p.stream, layers);
}

/* The rows of a step: n, each a session of its own with n_seen positions, or those of one session
 * from its beginning on, of which the last is wanted. */
typedef struct rows_of_step {
    uint32_t n, n_seen;
    int prompt;
} rows_of_step;

static void place_rows(const rows_of_step *r, rmr_inputs *in, uint32_t *want, rmr_cu_address cache,
                       uint64_t page, uint32_t pages, rmr_kv_type kv)
{
    for (uint32_t i = 0; i < r->n; i++) {
        in->token[i] = (int32_t)i;
        in->pos[i] = r->prompt ? i : r->n_seen - 1;
        want[i] = r->prompt ? r->n - 1 : i;
        if (!r->prompt)
            in->run[i] = (rmr_run){i, 1, r->n_seen - 1, i * pages, RMR_FORM_ABSORBED, kv};
    }
    if (r->prompt) in->run[0] = (rmr_run){0, r->n, 0, 0, RMR_FORM_ABSORBED, kv};
    for (uint32_t k = 0; k < in->n_pages; k++) in->page[k] = cache + k * page;
}

/* The median time of a step. */
static double time_rows(const rows_of_step *r, rmr_kv_type kv)
{
    const uint32_t n = r->n, pages = (r->n_seen + 31) / 32, n_runs = r->prompt ? 1 : n,
                   n_want = r->prompt ? 1 : n;
    const rmr_step_desc d = {p.op,   p.n,
                             p.slot, p.n_slots,
                             n,      n_runs * pages,
                             n_want, p.cache.n_streams > 0 ? &p.cache : NULL};
    rmr_step *s;
    rmr_inputs in = {.n_rows = n, .n_runs = n_runs, .n_pages = n_runs * pages};
    rmr_cu_address cache = 0;
    double us[REPEATS];
    uint64_t mark;
    static uint32_t want[MAX_PAGES];
    unsigned char *const block =
        aligned_alloc(64, (size_t)rmr_inputs_place(&in, NULL, n, n_runs * pages));
    const uint64_t page = p.cache.n_streams > 0 ? rmr_cache_page_bytes(&p.cache, kv) : 0;
    if (page > 0) {
        const uint64_t bytes = n_runs * (uint64_t)pages * page;
        DRIVER(c->d.memory_alloc(&cache, bytes));
        fill(cache, bytes, 0x37373737);
        wait_stream(c->stream);
    }
    MUST(rmr_cuda_step_create(&c->base, &d, &s, err));
    for (uint32_t i = 0; i < d.n_slots; i++)
        fill(s->memory + s->l.slot[i], (uint64_t)rmr_slot_rows(&d, i) * d.slots[i].width * 4,
             0x3f7fffff);
    rmr_inputs_place(&in, block, n, n_runs * pages);
    place_rows(r, &in, want, cache, page, pages, kv);
    wait_stream(c->stream);
    const int repeats = r->prompt ? REPEATS / 5 : REPEATS;
    for (int i = -2; i < repeats; i++) {
        MUST(rmr_cuda_step_inputs(&c->base, s, &in, err));
        MUST(rmr_cuda_step_want(&c->base, s, want, n_want, err));
        MUST(rmr_cuda_step_wait(&c->base, s, s->mark, err));
        const uint64_t begin = rmr_clock_us();
        MUST(rmr_cuda_step_submit(&c->base, s, &(rmr_slice){0, p.n}, NULL, &mark, err));
        MUST(rmr_cuda_step_wait(&c->base, s, mark, err));
        if (i >= 0) us[i] = (double)(rmr_clock_us() - begin);
    }
    rmr_cuda_step_free(&c->base, s);
    if (cache != 0) DRIVER(c->d.memory_free(cache));
    free(block);
    return median(us, repeats);
}

static double time_step(uint32_t n, uint32_t n_seen, rmr_kv_type kv)
{
    return time_rows(&(rows_of_step){n, n_seen, 0}, kv);
}

static void line(const char *name, double us, double bytes)
{
    printf("%-52s %9.1f us %7.0f GB/s %5.1f %%\n", name, us, bytes / us / 1e3,
           100 * bytes / us / roof);
    fflush(stdout);
}

/* `copies` products one after the other. */
static void bench_linear(rmr_elem e, uint32_t rows, uint32_t cols, uint32_t copies)
{
    static const uint32_t counts[] = {1, 8, 32, 64, 512, 4096};
    const size_t n_counts = e == RMR_ELEM_BF16 ? 6 : 5;
    char name[128];
    memset(&p, 0, sizeof p);
    p.n_slots = 2;
    p.slot[0] = (rmr_slot){cols, RMR_ROWS_ALL};
    p.slot[1] = (rmr_slot){rows, RMR_ROWS_ALL};
    for (uint32_t i = 0; i < copies; i++) {
        add((rmr_op){.kind = RMR_OP_LINEAR, .in = {0, 0}, .out = {1, 0}, .n = cols});
        p.op[i].w = random_weight(RMR_USE_MATRIX, e, 1, rows, cols);
    }
    for (size_t i = 0; i < n_counts; i++) {
        const double us = time_step(counts[i], 1, RMR_KV_BF16) / copies;
        snprintf(name, sizeof name, "%s [%u, %u], %u rows: %.0f TFLOP/s", rmr_elem_table[e].name,
                 rows, cols, counts[i], 2e-6 * rows * cols * counts[i] / us);
        line(name, us, (double)made[0]->layout.bytes);
    }
    free_weights();
}

/* Both operations of experts; slots: input, ids, weights, between, output. */
static void add_experts(rmr_elem e, rmr_elem down, uint32_t hidden, const rmr_moe *m,
                        const uint32_t *slot)
{
    rmr_op o = {.kind = RMR_OP_EXPERTS_SWIGLU,
                .in = {slot[0], 0},
                .in2 = {slot[1], 0},
                .out = {slot[3], 0},
                .out2 = {slot[3], m->n_used * m->inner},
                .n = hidden,
                .moe = m};
    o.w = random_weight(RMR_USE_MATRIX, e, m->n_experts, m->inner, hidden);
    o.w2 = random_weight(RMR_USE_MATRIX, e, m->n_experts, m->inner, hidden);
    o.s1 = random_weight(RMR_USE_MATRIX, e, 1, m->shared_inner, hidden);
    o.s2 = random_weight(RMR_USE_MATRIX, e, 1, m->shared_inner, hidden);
    add(o);
    o = (rmr_op){.kind = RMR_OP_EXPERTS_DOWN,
                 .in = {slot[3], 0},
                 .in2 = {slot[1], 0},
                 .in3 = {slot[2], 0},
                 .out = {slot[4], 0},
                 .n = m->inner,
                 .moe = m};
    o.w = random_weight(RMR_USE_MATRIX, down, m->n_experts, hidden, m->inner);
    o.s1 = random_weight(RMR_USE_MATRIX, e, 1, hidden, m->shared_inner);
    add(o);
}

/* 30 layers of experts of V2-Lite's shape. */
static void bench_experts(rmr_elem e, uint32_t n)
{
    enum { H = 2048, INNER = 1408, LAYERS = 8 };
    static const rmr_moe m = {RMR_GATE_SOFTMAX, 64, 6, 1, 1, 0, 1, INNER, 2 * INNER};
    char name[128];
    memset(&p, 0, sizeof p);
    const uint32_t width[] = {H, 64, 6, 6, H, 64, 6 * INNER + 2 * INNER};
    p.n_slots = 7;
    for (int i = 0; i < 7; i++)
        p.slot[i] = (rmr_slot){width[i], i == 5 ? RMR_ROWS_ONE : RMR_ROWS_ALL};
    double bytes = 0;
    for (int i = 0; i < LAYERS; i++) {
        rmr_op o = {.kind = RMR_OP_GATE,
                    .in = {1, 0},
                    .out = {2, 0},
                    .out2 = {3, 0},
                    .counts = {5, 0},
                    .moe = &m};
        add(o);
        /* of random rows each expert is chosen with the same chance */
        add_experts(e, e, H, &m, (const uint32_t[]){0, 2, 3, 6, 4});
        const double part = 1 - pow(1 - 6.0 / 64, n);
        for (uint32_t k = n_made - 6; k < n_made; k++)
            bytes += (made[k]->desc.count == 64 ? part : 1) * (double)made[k]->layout.bytes;
    }
    const double us = time_step(n, 1, RMR_KV_BF16) / LAYERS;
    snprintf(name, sizeof name, "gate, experts %s, V2-Lite, %u rows", rmr_elem_table[e].name, n);
    line(name, us, bytes / LAYERS);
    free_weights();
}

static void bench_latent(rmr_kv_type kv, uint32_t heads, uint32_t n, uint32_t seen)
{
    enum { LAYERS = 8 };
    const rmr_mla m = {heads, 128, 64, 128, 512, 0.07f};
    char name[128];
    memset(&p, 0, sizeof p);
    add_cache(LAYERS);
    p.n_slots = 2;
    p.slot[0] = (rmr_slot){heads * 576, RMR_ROWS_ALL};
    p.slot[1] = (rmr_slot){heads * 512, RMR_ROWS_ALL};
    for (uint32_t i = 0; i < LAYERS; i++)
        add((rmr_op){.kind = RMR_OP_ATTEND_LATENT,
                     .layer = i,
                     .stream = i,
                     .in = {0, 0},
                     .out = {1, 0},
                     .mla = &m});
    const double us = time_step(n, seen, kv) / LAYERS;
    snprintf(name, sizeof name, "latent attention and merge, %u heads, %s, %u x %u", heads,
             kv == RMR_KV_BF16 ? "bf16" : "int8", n, seen);
    line(name, us, (double)n * seen / 32 * (double)rmr_cache_part_bytes(&p.stream[0], kv));
}

/* ---- a token of V2-Lite ---- */

enum { X, HN, Q, KV, QL, Z, O, FF, ROUTER, IDS, WEIGHTS, CS, OUT, LOGITS, COUNTS, LITE_SLOTS };

static void lite_layer(uint32_t layer, rmr_elem e, const rmr_mla *m, const rmr_moe *moe)
{
    enum { D = 2048 };
    rmr_op norm = {.kind = RMR_OP_NORM, .in = {X, 0}, .out = {HN, 0}, .n = D, .eps = 1e-6f};
    norm.w = random_weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, D);
    add(norm);
    rmr_op lin = {.kind = RMR_OP_LINEAR, .in = {HN, 0}, .out = {Q, 0}, .n = D};
    lin.w = random_weight(RMR_USE_MATRIX, e, 1, 16 * 192, D);
    add(lin);
    lin.out.slot = KV;
    lin.w = random_weight(RMR_USE_MATRIX, e, 1, 576, D);
    add(lin);
    add((rmr_op){.kind = RMR_OP_ROPE,
                 .in = {Q, 0},
                 .in2 = {CS, 0},
                 .rotary = {16, 192, 128, 64, RMR_ROPE_INTERLEAVED}});
    rmr_op cw = {.kind = RMR_OP_CACHE_WRITE,
                 .layer = layer,
                 .stream = layer,
                 .in = {KV, 0},
                 .in2 = {CS, 0},
                 .eps = 1e-6f,
                 .mla = m};
    cw.w = random_weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, 512);
    add(cw);
    rmr_op a = {.kind = RMR_OP_ABSORB,
                .layer = layer,
                .stream = layer,
                .in = {Q, 0},
                .out = {QL, 0},
                .mla = m};
    a.w = random_weight(RMR_USE_MATRIX,
                        e > RMR_ELEM_F8 && rmr_elem_table[e].values > 128 ? RMR_ELEM_Q8_0 : e, 16,
                        512, 128);
    add(a);
    add((rmr_op){.kind = RMR_OP_ATTEND_LATENT,
                 .layer = layer,
                 .stream = layer,
                 .in = {QL, 0},
                 .out = {Z, 0},
                 .mla = m});
    a = (rmr_op){.kind = RMR_OP_UNABSORB,
                 .layer = layer,
                 .stream = layer,
                 .in = {Z, 0},
                 .out = {O, 0},
                 .mla = m};
    a.w = random_weight(RMR_USE_MATRIX, e, 16, 128, 512);
    add(a);
    lin = (rmr_op){.kind = RMR_OP_LINEAR, .in = {O, 0}, .out = {X, 0}, .n = D, .add = 1};
    lin.w = random_weight(RMR_USE_MATRIX, e, 1, D, D);
    add(lin);
    norm.w = random_weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, D);
    add(norm);
    if (layer == 0) {
        rmr_op sw = {.kind = RMR_OP_SWIGLU, .in = {HN, 0}, .out = {FF, 0}, .n = D};
        sw.w = random_weight(RMR_USE_MATRIX, e, 1, 10944, D);
        sw.w2 = random_weight(RMR_USE_MATRIX, e, 1, 10944, D);
        add(sw);
        lin = (rmr_op){.kind = RMR_OP_LINEAR, .in = {FF, 0}, .out = {X, 0}, .n = 10944, .add = 1};
        lin.w = random_weight(RMR_USE_MATRIX, rmr_elem_table[e].values > 128 ? RMR_ELEM_Q4_0 : e, 1,
                              D, 10944);
        add(lin);
        return;
    }
    lin = (rmr_op){.kind = RMR_OP_LINEAR, .in = {HN, 0}, .out = {ROUTER, 0}, .n = D};
    lin.w = random_weight(RMR_USE_MATRIX, RMR_ELEM_BF16, 1, 64, D);
    add(lin);
    add((rmr_op){.kind = RMR_OP_GATE,
                 .in = {ROUTER, 0},
                 .out = {IDS, 0},
                 .out2 = {WEIGHTS, 0},
                 .counts = {COUNTS, 0},
                 .moe = moe});
    add_experts(e, rmr_elem_table[e].values > 128 ? RMR_ELEM_Q4_0 : e, D, moe,
                (const uint32_t[]){HN, IDS, WEIGHTS, FF, X});
}

/* Bytes that a step of n rows reads of the weights. */
static double lite_bytes(uint32_t n)
{
    const double part = 1 - pow(1 - 6.0 / 64, n);
    double all = 0;
    for (uint32_t i = 0; i < n_made; i++)
        if (made[i]->desc.use == RMR_USE_MATRIX)
            all += (made[i]->desc.count == 64 ? part : 1) * (double)made[i]->layout.bytes;
    return all;
}

/* What a step of the program takes less without the operations of one kind. Not of gates, without
 * which no expert is chosen. */
static void cost_of_kinds(const rows_of_step *r)
{
    static program all;
    const double us = time_rows(r, RMR_KV_BF16);
    all = p;
    for (int kind = 0; kind < RMR_OP_COUNT; kind++) {
        p.n = 0;
        for (uint32_t i = 0; i < all.n; i++)
            if ((int)all.op[i].kind != kind) p.op[p.n++] = all.op[i];
        const uint32_t n = all.n - p.n;
        if (n == 0 || kind == RMR_OP_GATE) continue;
        const double less = us - time_rows(r, RMR_KV_BF16);
        printf("  %3u x %-16s %8.1f us, %6.2f us each\n", n, rmr_op_infos[kind].name, less,
               less / n);
        fflush(stdout);
    }
    p = all;
}

/* Operations of its products are counted, without those of the head: a token has 2.24e9 weights. */
static void bench_prompt(const char *name, uint32_t n, int kinds)
{
    const rows_of_step r = {n, n, 1};
    const double us = time_rows(&r, RMR_KV_BF16);
    printf("V2-Lite %s, prompt of %u: %.0f tokens/s, %.0f TFLOP/s %26.0f us\n", name, n,
           n * 1e6 / us, 2 * 2.24e9 * 1e-6 * n / us, us);
    fflush(stdout);
    if (kinds) cost_of_kinds(&r);
}

static void lite_program(rmr_elem e, rmr_elem head, uint32_t layers)
{
    static const rmr_mla m = {16, 128, 64, 128, 512, 0.1147f};
    static const rmr_moe moe = {RMR_GATE_SOFTMAX, 64, 6, 1, 1, 0, 1, 1408, 2816};
    const uint32_t width[LITE_SLOTS] = {
        2048, 2048, 3072, 576, 16 * 576, 8192,   2048, 6 * 1408 + 2816,
        64,   6,    6,    64,  2048,     102400, 64};
    memset(&p, 0, sizeof p);
    add_cache(27);
    p.n_slots = LITE_SLOTS;
    for (int i = 0; i < LITE_SLOTS; i++)
        p.slot[i] = (rmr_slot){width[i], i == COUNTS               ? RMR_ROWS_ONE
                                         : i == OUT || i == LOGITS ? RMR_ROWS_OUT
                                                                   : RMR_ROWS_ALL};
    rmr_op em = {.kind = RMR_OP_EMBED, .out = {X, 0}, .n = 2048};
    em.w = random_weight(RMR_USE_TABLE, RMR_ELEM_BF16, 1, 102400, 2048);
    add(em);
    rmr_op rt = {.kind = RMR_OP_ROPE_TABLE, .out = {CS, 0}, .amp = 1};
    rt.w = random_weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, 32);
    add(rt);
    for (uint32_t i = 0; i < layers; i++) lite_layer(i, e, &m, &moe);
    add((rmr_op){
        .kind = RMR_OP_PICK_ROWS, .rows = RMR_ROWS_OUT, .in = {X, 0}, .out = {OUT, 0}, .n = 2048});
    rmr_op nm = {.kind = RMR_OP_NORM,
                 .rows = RMR_ROWS_OUT,
                 .in = {OUT, 0},
                 .out = {OUT, 0},
                 .n = 2048,
                 .eps = 1e-6f};
    nm.w = random_weight(RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, 2048);
    add(nm);
    rmr_op lo = {
        .kind = RMR_OP_LINEAR, .rows = RMR_ROWS_OUT, .in = {OUT, 0}, .out = {LOGITS, 0}, .n = 2048};
    lo.w = random_weight(RMR_USE_MATRIX, head, 1, 102400, 2048);
    add(lo);
}

static void bench_tokens(rmr_elem e, int n)
{
    char name[128];
    const struct {
        uint32_t n, seen;
    } cases[] = {{1, 64}, {8, 64}, {64, 64}, {1, 4096}, {1, 32768}};
    for (int i = 0; i < n; i++) {
        const double us = time_step(cases[i].n, cases[i].seen, RMR_KV_BF16);
        const double bytes = lite_bytes(cases[i].n) + 27.0 * cases[i].n * cases[i].seen * 1152;
        snprintf(name, sizeof name, "V2-Lite %s, %u x %u: %.0f tokens/s", rmr_elem_table[e].name,
                 cases[i].n, cases[i].seen, cases[i].n * 1e6 / us);
        line(name, us, bytes);
    }
}

static void bench_lite(rmr_elem e, rmr_elem head, int long_ones)
{
    lite_program(e, head, 27);
    bench_tokens(e, long_ones ? 5 : 2);
    cost_of_kinds(&(rows_of_step){1, 64, 0});
    bench_prompt(rmr_elem_table[e].name, 512, 0);
    bench_prompt(rmr_elem_table[e].name, 4096, long_ones);
    free_weights();
}

/* A token of one row and of 8 alone. */
static void bench_row(rmr_elem e, rmr_elem head)
{
    lite_program(e, head, 27);
    bench_tokens(e, 2);
    free_weights();
}

static void bench_linears(rmr_elem e)
{
    bench_linear(e, 2048, 2048, 32);
    bench_linear(e, 102400, 2048, 2);
    if (e == RMR_ELEM_BF16) bench_linear(e, 2048, 10944, 8);
}

static void bench_latents(void)
{
    bench_latent(RMR_KV_BF16, 16, 1, 4096);
    bench_latent(RMR_KV_BF16, 16, 1, 32768);
    bench_latent(RMR_KV_BF16, 16, 1, 131072);
    bench_latent(RMR_KV_BF16, 16, 8, 32768);
    bench_latent(RMR_KV_BF16, 128, 1, 4096);
    bench_latent(RMR_KV_INT8, 16, 1, 4096);
    bench_latent(RMR_KV_INT8, 16, 1, 32768);
    bench_latent(RMR_KV_INT8, 16, 8, 32768);
}

/* From a row of logits that is there to the host: the best of it, and for comparison all of it,
 * into memory that the driver pins. */
static void bench_best(uint32_t width)
{
    static const rmr_best_wish wishes[] = {{0, 0},   {1, 0},   {41, 0},
                                           {257, 0}, {257, 1}, {513, 0}}; /* 0: all */
    const rmr_slot slots[] = {{4, RMR_ROWS_ALL}, {width, RMR_ROWS_OUT}};
    const rmr_step_desc d = {NULL, 0, slots, 2, 1, 1, 1, NULL};
    const rmr_area all = {1, 0, width, 0, 1};
    const size_t bytes = (size_t)width * 4;
    rmr_step *s;
    double us[101];
    char name[64];
    void *const row = c->base.ops->host_alloc(&c->base, &c->ctx->mem, bytes);
    MUST(rmr_cuda_step_create(&c->base, &d, &s, err));
    fill(s->memory + s->l.slot[1], bytes, 0xc1ffffff);
    wait_stream(c->stream);
    for (size_t k = 0; k < sizeof wishes / sizeof wishes[0]; k++) {
        rmr_best best = {.n = width};
        for (int i = 0; i < 101; i++) {
            const uint64_t begin = rmr_clock_us();
            for (int r = 0; r < 10; r++)
                if (wishes[k].n == 0)
                    MUST(rmr_cuda_step_read(&c->base, s, &all, row, err));
                else
                    MUST(rmr_cuda_step_best(&c->base, s, 1, 0, &wishes[k], &best, err));
            us[i] = (double)(rmr_clock_us() - begin) / 10;
        }
        snprintf(name, sizeof name, "best %u of %u%s: %u to the host", wishes[k].n, width,
                 wishes[k].scale > 0 ? ", with mass" : "", best.n);
        line(name, median(us, 101), (double)bytes);
    }
    rmr_cuda_step_free(&c->base, s);
    c->base.ops->host_free(&c->base, &c->ctx->mem, row, bytes);
}

/* ---- the longest kernel ---- */

/* Each launch by itself, in their order, from its call to when the host sees its end. */
static struct {
    rmr_cu_driver driver; /* the real one */
    rmr_cuda_kernel kernel[1 << 16];
    double us[1 << 16];
    uint32_t n;
} launches;

/* Kernels that are not the backend's are not noted. */
static void note_launch(rmr_cu_function f, rmr_cu_stream stream, uint64_t begin)
{
    wait_stream(stream);
    const double us = (double)(rmr_clock_us() - begin);
    for (int k = 0; k < RMR_K_COUNT; k++) {
        if (c->kernel[k] != f || launches.n == 1 << 16) continue;
        launches.kernel[launches.n] = (rmr_cuda_kernel)k;
        launches.us[launches.n++] = us;
    }
}

static rmr_cu_result timed_launch(rmr_cu_function f, unsigned x, unsigned y, unsigned z,
                                  unsigned bx, unsigned by, unsigned bz, unsigned shared,
                                  rmr_cu_stream s, void **params, void **extra)
{
    const uint64_t begin = rmr_clock_us();
    const rmr_cu_result r =
        launches.driver.launch(f, x, y, z, bx, by, bz, shared, s, params, extra);
    if (r == RMR_CU_SUCCESS) note_launch(f, s, begin);
    return r;
}

static rmr_cu_result timed_launch_with(const rmr_cu_launch_config *l, rmr_cu_function f,
                                       void **params, void **extra)
{
    const uint64_t begin = rmr_clock_us();
    const rmr_cu_result r = launches.driver.launch_with(l, f, params, extra);
    if (r == RMR_CU_SUCCESS) note_launch(f, l->stream, begin);
    return r;
}

/* The longest kernel of a step, each in the shortest of its repeats. */
static void longest_kernel(const char *name, const rows_of_step *r, rmr_kv_type kv)
{
    const uint32_t repeats = 2 + (r->prompt ? REPEATS / 5 : REPEATS); /* as time_rows() has them */
    const double whole = time_rows(r, kv);
    double longest = 0;
    uint32_t which = 0;
    launches.driver = c->d;
    launches.n = 0;
    c->d.launch = timed_launch;
    c->d.launch_with = timed_launch_with;
    (void)time_rows(r, kv);
    c->d = launches.driver;
    const uint32_t n = launches.n / repeats;
    for (uint32_t i = 0; i < n; i++) {
        double least = launches.us[i];
        for (uint32_t k = 1; k < repeats; k++) least = fmin(least, launches.us[k * n + i]);
        if (least <= longest) continue;
        longest = least;
        which = i;
    }
    printf("%s, %u rows%s, %s: %.0f us in %u kernels, the longest %.0f us (%s)\n", name, r->n,
           r->prompt ? " of a prompt" : "", c->short_pieces ? "short pieces" : "whole", whole, n,
           longest, n > 0 ? rmr_cuda_kernel_names[launches.kernel[which]] : "none");
    fflush(stdout);
}

static void bench_pieces(rmr_elem e, rmr_elem head)
{
    static const rows_of_step steps[] = {
        {1, 32768, 0}, {64, 4096, 0}, {512, 512, 1}, {4096, 4096, 1}};
    const int graphs = c->graphs;
    lite_program(e, head, 27);
    c->graphs = 0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
        for (c->short_pieces = 0; c->short_pieces < 2; c->short_pieces++)
            longest_kernel(rmr_elem_table[e].name, &steps[i], RMR_KV_BF16);
    c->short_pieces = 1;
    longest_kernel("8-bit cache", &steps[3], RMR_KV_INT8);
    c->short_pieces = 0;
    c->graphs = graphs;
    free_weights();
}

/* A few kernels once, for a profiler. */
static void profile(void)
{
    c->graphs = 0;
    roof = 4.5e6;
    bench_linear(RMR_ELEM_BF16, 2048, 2048, 2);
    bench_linear(RMR_ELEM_Q4_K, 2048, 2048, 2);
    bench_linear(RMR_ELEM_F8, 2048, 2048, 2);
    bench_experts(RMR_ELEM_BF16, 1);
    bench_latent(RMR_KV_BF16, 16, 1, 32768);
}

/* The first two layers of a prompt, once, for a profiler. */
static void profile_prompt(rmr_elem e)
{
    c->graphs = 0;
    roof = 4.5e6;
    lite_program(e, e, 2);
    bench_prompt(rmr_elem_table[e].name, 4096, 0);
    free_weights();
}

static void bench_named(const char *what)
{
    if (strcmp(what, "chains") == 0) {
        ask_chains();
        return;
    }
    if (strcmp(what, "profile") == 0) {
        profile();
        return;
    }
    measure_roof();
    if (strcmp(what, "latent") == 0) bench_latents();
    if (strcmp(what, "best") == 0) bench_best(102400);
    for (int e = 0; e < RMR_ELEM_COUNT; e++) {
        const char *const name = strchr(what, '-');
        if (name == NULL || strcmp(name + 1, rmr_elem_table[e].name) != 0) continue;
        if (strncmp(what, "linear-", 7) == 0) bench_linears((rmr_elem)e);
        if (strncmp(what, "experts-", 8) == 0) bench_experts((rmr_elem)e, 1);
        if (strncmp(what, "experts8-", 9) == 0) bench_experts((rmr_elem)e, 8);
        if (strncmp(what, "experts64-", 10) == 0) bench_experts((rmr_elem)e, 64);
        if (strncmp(what, "layers-", 7) == 0) profile_prompt((rmr_elem)e);
        const rmr_elem head = e <= RMR_ELEM_F8 ? RMR_ELEM_BF16 : RMR_ELEM_Q6_K;
        if (strncmp(what, "row-", 4) == 0) bench_row((rmr_elem)e, head);
        if (strncmp(what, "lite-", 5) == 0) bench_lite((rmr_elem)e, head, e == RMR_ELEM_BF16);
        if (strncmp(what, "pieces-", 7) == 0) bench_pieces((rmr_elem)e, head);
    }
}

void bench_gpu(rmr_backend *be, const void *image, const char *what)
{
    c = (rmr_cuda *)be;
    MUST(rmr_cuda_enter(c, err));
    DRIVER(c->d.module_load(&module, image));
    bench_named(what);
    (void)c->d.module_unload(module);
    rmr_cuda_leave(c);
}
