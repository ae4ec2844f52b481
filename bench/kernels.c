/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the kernels are, next to what this processor reads and multiplies at best in the same
 * run, one thread. Prints a markdown table. Arguments: the set (default: the best), then words that
 * the kernel's name must contain.
 *
 * The two floors of a kernel: its bytes (weights, keys or elements, each read once) at the measured
 * bandwidth, and its multiplications and additions at the measured peak, of the integer dot product
 * where quantised weights meet quantised activations, else of fused multiply-adds. What unpacking
 * costs is in neither. "reached" is the larger floor / the time. Matrices move on through memory
 * from call to call, so that they are read from there as in a model. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels.h"
#include "peak.h"

#define BIG ((size_t)1 << 30) /* bytes: larger than any cache */

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct job {
    const rmr_kernels *set;
    uint8_t *mem;           /* BIG bytes of weights, keys or floats */
    float *x, *y;           /* some MiB each */
    uint8_t *xq;            /* rows of x, quantised */
    uint32_t k, n_x, tiles; /* matmul: K, rows, tiles; attention: width, n_q, rows; others: n */
    int type;
} job;

static size_t tile_step(const job *j)
{
    return (rmr_tile_bytes((rmr_elem)j->type, j->k) + 63) & ~(size_t)63;
}

/* In calls of 64 tiles, as the backend cuts them. */
static void do_matmul(const job *j)
{
    const size_t ldy = (size_t)j->tiles * RMR_TILE;
    for (uint32_t t = 0; t < j->tiles; t += 64)
        j->set->product->matmul[j->type](j->y + (size_t)t * RMR_TILE, ldy, j->x, j->k, j->n_x,
                                         j->mem + t * tile_step(j), tile_step(j),
                                         j->tiles - t < 64 ? j->tiles - t : 64, j->k, 0, NULL);
}

static void do_qmatmul(const job *j)
{
    const size_t ldy = (size_t)j->tiles * RMR_TILE, ldq = rmr_qrow_bytes(j->k);
    for (uint32_t t = 0; t < j->tiles; t += 64)
        j->set->integer->matmul[j->type](j->y + (size_t)t * RMR_TILE, ldy, j->xq, ldq, j->n_x,
                                         j->mem + t * tile_step(j), tile_step(j),
                                         j->tiles - t < 64 ? j->tiles - t : 64, j->k, NULL);
}

static void do_quantize(const job *j)
{
    j->set->integer->quantize(j->xq, j->x, j->k);
}

enum { ATT_PAGES = RMR_KV8_SEG / RMR_KV8_TOKENS };

static void att_pages(const job *j, const void **pages)
{
    for (size_t i = 0; i <= ATT_PAGES; i++)
        pages[i] = j->mem + i * RMR_KV8_TOKENS * j->k * (j->type ? 4 : 2);
}

static void do_scores(const job *j)
{
    const void *pages[ATT_PAGES + 1];
    att_pages(j, pages);
    (j->type ? j->set->attention->scores_f32 : j->set->attention->scores_bf16)(
        j->y, j->x, j->k, j->n_x, pages, j->k, j->tiles, j->k, 0.1f);
}

static void do_wsum(const job *j)
{
    const void *pages[ATT_PAGES + 1];
    att_pages(j, pages);
    (j->type ? j->set->attention->wsum_f32
             : j->set->attention->wsum_bf16)(j->y, j->k, j->x, j->n_x, pages, j->k, j->tiles, j->k);
}

static void do_norm(const job *j)
{
    j->set->elementwise->norm(j->y, j->x, j->x, j->k, 1e-6f);
}

static void do_rope(const job *j)
{
    j->set->elementwise->rope(j->y, j->x, j->k / 2);
}

static void do_rope_half(const job *j)
{
    j->set->elementwise->rope_half(j->y, j->x, j->k / 2);
}

static void do_silu(const job *j)
{
    j->set->elementwise->silu_mul(j->y, j->x, j->x, j->k);
}

static void do_sigmoid(const job *j)
{
    j->set->elementwise->sigmoid(j->y, j->x, j->k);
}

static void do_max(const job *j)
{
    j->y[0] = j->set->elementwise->max(j->x, j->k);
}

static void do_exp_sum(const job *j)
{
    memcpy(j->y, j->x, j->k * sizeof(float));
    j->y[j->k] = j->set->elementwise->exp_sum(j->y, j->k, 1.0f);
}

static void do_madd(const job *j)
{
    j->set->elementwise->madd(j->y, j->x, j->k, 0.5f);
}

static void do_merge(const job *j)
{
    j->set->elementwise->merge(j->y, j->x, j->k, 0.5f, 0.25f);
}

static void do_to_bf16(const job *j)
{
    j->set->elementwise->to_bf16((uint16_t *)j->y, j->x, j->k);
}

static void do_from_bf16(const job *j)
{
    j->set->elementwise->from_bf16(j->y, (const uint16_t *)j->x, j->k);
}

static void do_from_f16(const job *j)
{
    j->set->elementwise->from_f16(j->y, (const uint16_t *)j->x, j->k);
}

/* Best seconds of one call over several tries of at least 60 ms. `step`: how far the weights move
 * on after each call. */
static double measure(void (*fn)(const job *), const job *base, size_t step)
{
    job j = *base;
    double best = 1e9;
    size_t at = 0;
    long n = 1;
    for (int try = 0; try < 5;) {
        const double start = now();
        for (long i = 0; i < n; i++) {
            fn(&j);
            at = at + 2 * step <= BIG ? at + step : 0;
            j.mem = base->mem + at;
        }
        const double t = now() - start;
        if (t < 0.06) {
            n *= 2;
            continue;
        }
        if (t / (double)n < best) best = t / (double)n;
        try++;
    }
    return best;
}

typedef struct line {
    const char *name;
    void (*fn)(const job *);
    uint32_t k, n_x, tiles;
    int type;
    double bytes, flop; /* per call; the bytes of weights, keys or elements: what must be read at
                           least once */
} line;

#define MM(kind, wtype, size, k, n_x, tiles)                                                       \
    {                                                                                              \
        "matmul " kind, do_matmul, k, n_x, tiles, wtype, (double)(k) * (tiles)*16 * (size),        \
            2.0 * (k) * (tiles)*16 * (n_x)                                                         \
    }
#define EXPERT(kind, type, bytes, values, k, n_x, tiles)                                           \
    {                                                                                              \
        "matmul " kind, do_qmatmul, k, n_x, tiles, type,                                           \
            (double)(k) * (tiles)*16 * (bytes) / (values), 2.0 * (k) * (tiles)*16 * (n_x)          \
    }
/* An expert's two matrices of V2-Lite: one token, and its share of a prompt of 512. Rows of 1408
 * are no whole super-blocks. */
#define EXPERTS(kind, type, bytes, values)                                                         \
    EXPERT(kind, type, bytes, values, 2048, 1, 88), EXPERT(kind, type, bytes, values, 2048, 48, 88)
#define EXPERTS_DOWN(kind, type, bytes, values)                                                    \
    EXPERTS(kind, type, bytes, values), EXPERT(kind, type, bytes, values, 1408, 1, 128),           \
        EXPERT(kind, type, bytes, values, 1408, 48, 128)
/* A quantised type: decoding, then prefill of a short prompt. */
#define QMM(kind, type, bytes, values, fn)                                                         \
    {"matmul " kind,        fn, 7168, 1, 1152, type, 7168.0 * 1152 * 16 * (bytes) / (values),      \
     2.0 * 7168 * 1152 * 16},                                                                      \
    {                                                                                              \
        "matmul " kind, fn, 7168, 32, 128, type, 7168.0 * 128 * 16 * (bytes) / (values),           \
            2.0 * 7168 * 128 * 16 * 32                                                             \
    }
#define ATT(name, fn, type, size, w, n_q, rows)                                                    \
    {                                                                                              \
        name, fn, w, n_q, rows, type, (double)(w) * (rows) * (size), 2.0 * (w) * (rows) * (n_q)    \
    }
#define SMALL(name, fn, n, bytes, flop)                                                            \
    {                                                                                              \
        name, fn, n, 1, 1, 0, (double)(n) * (bytes), (double)(n) * (flop)                          \
    }

static const line lines[] = {
    MM("bf16", RMR_ELEM_BF16, 2, 7168, 1, 1152),
    MM("bf16", RMR_ELEM_BF16, 2, 2048, 1, 4032),
    MM("bf16", RMR_ELEM_BF16, 2, 7168, 2, 1152),
    MM("bf16", RMR_ELEM_BF16, 2, 7168, 4, 1152),
    MM("bf16", RMR_ELEM_BF16, 2, 7168, 8, 1152),
    MM("bf16", RMR_ELEM_BF16, 2, 7168, 16, 1152),
    MM("bf16", RMR_ELEM_BF16, 2, 7168, 64, 128),
    MM("bf16", RMR_ELEM_BF16, 2, 7168, 512, 128),
    MM("bf16", RMR_ELEM_BF16, 2, 2048, 64, 128),
    MM("bf16", RMR_ELEM_BF16, 2, 2048, 512, 128),
    MM("f16", RMR_ELEM_F16, 2, 7168, 1, 1152),
    MM("f16", RMR_ELEM_F16, 2, 7168, 512, 128),
    MM("f32", RMR_ELEM_F32, 4, 7168, 1, 576),
    MM("f32", RMR_ELEM_F32, 4, 7168, 512, 64),
    QMM("f8", RMR_ELEM_F8, 1, 1, do_matmul),
    QMM("q8_0", RMR_ELEM_Q8_0, 34, 32, do_qmatmul),
    QMM("q4_0", RMR_ELEM_Q4_0, 18, 32, do_qmatmul),
    QMM("i4", RMR_ELEM_I4, 18, 32, do_qmatmul),
    QMM("iq4_nl", RMR_ELEM_IQ4_NL, 18, 32, do_qmatmul),
    QMM("mxfp4", RMR_ELEM_MXFP4, 17, 32, do_qmatmul),
    QMM("iq4_xs", RMR_ELEM_IQ4_XS, 136, 256, do_qmatmul),
    QMM("q4_k", RMR_ELEM_Q4_K, 144, 256, do_qmatmul),
    QMM("q5_k", RMR_ELEM_Q5_K, 176, 256, do_qmatmul),
    QMM("q6_k", RMR_ELEM_Q6_K, 210, 256, do_qmatmul),
    QMM("q3_k", RMR_ELEM_Q3_K, 110, 256, do_qmatmul),
    QMM("q2_k", RMR_ELEM_Q2_K, 84, 256, do_qmatmul),
    QMM("q4_1", RMR_ELEM_Q4_1, 20, 32, do_qmatmul),
    QMM("q5_0", RMR_ELEM_Q5_0, 22, 32, do_qmatmul),
    QMM("q5_1", RMR_ELEM_Q5_1, 24, 32, do_qmatmul),
    EXPERTS("q4_k", RMR_ELEM_Q4_K, 144, 256),
    EXPERTS_DOWN("q4_0", RMR_ELEM_Q4_0, 18, 32),
    EXPERTS_DOWN("i4", RMR_ELEM_I4, 18, 32),
    EXPERTS_DOWN("iq4_nl", RMR_ELEM_IQ4_NL, 18, 32),
    EXPERTS_DOWN("mxfp4", RMR_ELEM_MXFP4, 17, 32),
    EXPERTS("iq4_xs", RMR_ELEM_IQ4_XS, 136, 256),
    EXPERTS_DOWN("q8_0", RMR_ELEM_Q8_0, 34, 32),
    EXPERTS_DOWN("q4_1", RMR_ELEM_Q4_1, 20, 32),
    EXPERTS_DOWN("q5_0", RMR_ELEM_Q5_0, 22, 32),
    EXPERTS_DOWN("q5_1", RMR_ELEM_Q5_1, 24, 32),
    ATT("scores bf16", do_scores, 0, 2, 576, 16, 256),
    ATT("scores bf16", do_scores, 0, 2, 192, 64, 64),
    ATT("scores bf16", do_scores, 0, 2, 576, 1, 64),
    ATT("scores f32", do_scores, 1, 4, 192, 64, 64),
    ATT("wsum bf16", do_wsum, 0, 2, 512, 16, 256),
    ATT("wsum bf16", do_wsum, 0, 2, 128, 64, 64),
    ATT("wsum bf16", do_wsum, 0, 2, 512, 1, 64),
    ATT("wsum f32", do_wsum, 1, 4, 128, 64, 64),
    SMALL("quantize", do_quantize, 7168, 5.75, 6),
    SMALL("norm", do_norm, 7168, 16, 4),
    SMALL("rope", do_rope, 8192, 12, 3),
    SMALL("rope_half", do_rope_half, 8192, 12, 3),
    SMALL("silu_mul", do_silu, 2048, 12, 20),
    SMALL("sigmoid", do_sigmoid, 2048, 8, 18),
    SMALL("max", do_max, 2048, 4, 1),
    SMALL("exp_sum", do_exp_sum, 2048, 12, 18),
    SMALL("madd", do_madd, 7168, 12, 2),
    SMALL("merge", do_merge, 7168, 12, 3),
    SMALL("to_bf16", do_to_bf16, 7168, 6, 0),
    SMALL("from_bf16", do_from_bf16, 7168, 6, 0),
    SMALL("from_f16", do_from_f16, 7168, 6, 0),
};

static double best_read(const peak *p, const uint8_t *mem)
{
    double best = 0;
    volatile double keep = 0;
    for (int i = 0; i < 3 * PEAK_READS; i++) {
        const double start = now();
        keep =
            keep + p->read[i % PEAK_READS]((const float *)(const void *)mem, BIG / sizeof(float));
        const double rate = (double)BIG / (now() - start);
        if (rate > best) best = rate;
    }
    return best;
}

/* Operations per second of one of the loops in registers. */
static double best_loop(double (*loop)(uint64_t steps), double ops_per_step)
{
    enum { STEPS = 10000000 };
    double best = 0;
    volatile double keep = 0;
    for (int i = 0; i < 3; i++) {
        const double start = now();
        keep = keep + loop(STEPS);
        const double rate = STEPS * ops_per_step / (now() - start);
        if (rate > best) best = rate;
    }
    return best;
}

typedef struct ceilings {
    double read, fma, dot; /* per second: bytes, operations, operations */
} ceilings;

static void show(const line *l, const job *base, const ceilings *c)
{
    job j = *base;
    j.k = l->k;
    j.n_x = l->n_x;
    j.tiles = l->tiles;
    j.type = l->type;
    const int integers = l->fn == do_qmatmul, matrix = integers || l->fn == do_matmul;
    for (uint32_t m = 0; integers && m < j.n_x; m++)
        j.set->integer->quantize(j.xq + m * rmr_qrow_bytes(j.k), j.x + (size_t)m * j.k, j.k);
    const double t = measure(l->fn, &j, matrix ? tile_step(&j) * j.tiles : 0);
    const double bytes = l->bytes / c->read, ops = l->flop / (integers ? c->dot : c->fma);
    char shape[48];
    snprintf(shape, sizeof shape, "%u x %u x %u", l->k, l->n_x, l->tiles);
    printf("| %-11s | %-16s | %9.2f | %9.2f | %9.2f | %3.0f %% | %6.1f | %7.1f |\n", l->name, shape,
           t * 1e6, bytes * 1e6, ops * 1e6, 100 * (bytes > ops ? bytes : ops) / t,
           l->bytes / t * 1e-9, l->flop / t * 1e-9);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const rmr_kernels *const set = rmr_kernels_pick(argc > 1 ? argv[1] : NULL);
    const size_t floats = (size_t)16 << 20;
    job j = {.set = set, .mem = aligned_alloc((size_t)2 << 20, BIG)};
    j.x = aligned_alloc(4096, floats * sizeof(float));
    j.y = aligned_alloc(4096, floats * sizeof(float));
    j.xq = aligned_alloc(4096, floats);
    if (!set || !j.mem || !j.x || !j.y || !j.xq) {
        fprintf(stderr, "no such set here, or out of memory\n");
        return 1;
    }
    (void)madvise(j.mem, BIG, MADV_HUGEPAGE);
    /* one small value everywhere: as bf16, f16, f32 and e8m0 alike a harmless normal number, and as
     * codes anything will do */
    for (size_t i = 0; i < BIG / 4; i++) ((uint32_t *)(void *)j.mem)[i] = 0x2c2c2c2c;
    for (size_t i = 0; i < floats; i++) j.x[i] = (float)(i % 17) * 0.0625f - 0.5f;
    memset(j.y, 0, floats * sizeof(float));
    const peak p = peak_of(set->name);
    const ceilings c = {best_read(&p, j.mem), best_loop(p.fma, p.flop_per_step),
                        best_loop(p.dot, p.ops_per_step)};
    printf("Set %s, one thread: reads %.1f GB/s from memory, multiplies and adds %.1f GFLOP/s and, "
           "with %s on bytes, %.1f GOP/s.\n\n",
           set->name, c.read * 1e-9, c.fma * 1e-9, p.dot_name, c.dot * 1e-9);
    printf("| kernel      | k x rows x tiles | time (us) | floor from bytes | from operations | "
           "reached | GB/s | GOP/s |\n|---|---|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (argc < 3 || strstr(lines[i].name, argv[2])) show(&lines[i], &j, &c);
    free(j.mem);
    free(j.x);
    free(j.y);
    free(j.xq);
    return 0;
}
