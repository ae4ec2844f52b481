/* SPDX-License-Identifier: Apache-2.0 */
/* The best of a row as the CUDA backend finds them: what backend.h says of them, and that samplers
 * pick from them what they pick from the row. */
#include "check_best.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "check_ops.h"
#include "must.h"
#include "sampler.h"

/* ---- a step whose result is a given row, the second of two ---- */

typedef struct lookup {
    rmr_weight *table;
    rmr_op op[2];
    rmr_slot slot[2];
    rmr_step_desc desc;
    rmr_step *step;
} lookup;

static void lookup_make(lookup *l, const float *row, uint32_t width)
{
    const rmr_weight_desc d = {RMR_USE_TABLE, RMR_ELEM_F32, 1, 1, width, {RMR_SHARE_NONE, 1}};
    *l = (lookup){0};
    MUST(check_gpu->ops->weight_create(check_gpu, &d, &l->table, err));
    MUST(check_gpu->ops->weight_upload(check_gpu, l->table, 0, 0, 1, row, err));
    MUST(check_gpu->ops->weight_done(check_gpu, l->table, err));
    l->op[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {0, 0}, .n = width, .w = l->table};
    l->op[1] = (rmr_op){
        .kind = RMR_OP_PICK_ROWS, .rows = RMR_ROWS_OUT, .in = {0, 0}, .out = {1, 0}, .n = width};
    l->slot[0] = (rmr_slot){width, RMR_ROWS_ALL};
    l->slot[1] = (rmr_slot){width, RMR_ROWS_OUT};
    l->desc = (rmr_step_desc){l->op, 2, l->slot, 2, 1, 1, 2, NULL};
    MUST(check_gpu->ops->step_create(check_gpu, &l->desc, &l->step, err));
    unsigned char *const block =
        aligned_alloc(64, (size_t)rmr_inputs_place(&(rmr_inputs){0}, NULL, 1, 1));
    rmr_inputs in = {.n_rows = 1, .n_runs = 1};
    uint64_t mark;
    rmr_inputs_place(&in, block, 1, 1);
    in.token[0] = 0;
    in.pos[0] = 0;
    in.run[0] = (rmr_run){0, 1, 0, 0, RMR_FORM_ABSORBED, RMR_KV_BF16};
    MUST(check_gpu->ops->step_inputs(check_gpu, l->step, &in, err));
    MUST(check_gpu->ops->step_want(check_gpu, l->step, (uint32_t[]){0, 0}, 2, err));
    MUST(check_gpu->ops->step_submit(check_gpu, l->step, &(rmr_slice){0, 2}, NULL, &mark, err));
    free(block);
}

static void lookup_free(lookup *l)
{
    check_gpu->ops->step_free(check_gpu, l->step);
    check_gpu->ops->weight_free(check_gpu, l->table);
}

/* ---- rows ---- */

static float plain(uint32_t i)
{
    (void)i;
    return (float)(check_random() + check_random() + check_random()) * 5;
}

static float ties(uint32_t i)
{
    return floorf(plain(i));
}

static float equal(uint32_t i)
{
    (void)i;
    return -2.5f;
}

/* The best are next to each other. */
static float heap(uint32_t i)
{
    return i >= 30 && i < 60 ? 20 + plain(i) / 8 : plain(i);
}

static float rising(uint32_t i)
{
    return (float)i / 64 - 30;
}

static float few(uint32_t i)
{
    return i % 97 == 5 ? plain(i) : i % 2 ? NAN : -INFINITY;
}

static float extreme(uint32_t i)
{
    static const float v[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 0x1p-149f, -0x1p-149f, 3e38f};
    return i % 41 < 8 ? v[i % 41] : plain(i);
}

static float none(uint32_t i)
{
    return i % 2 ? NAN : -INFINITY;
}

static const struct {
    const char *name;
    float (*logit)(uint32_t i);
} rows[] = {{"plain", plain},   {"ties", ties}, {"equal", equal},     {"heap", heap},
            {"rising", rising}, {"few", few},   {"extreme", extreme}, {"none", none}};

/* ---- what backend.h says ---- */

static int rest_is_wrong(const rmr_best *b, const float *row, const unsigned char *named,
                         uint32_t width, float scale)
{
    float least = INFINITY;
    double mass = 0;
    for (uint32_t i = 0; i < width; i++) {
        if (!(row[i] > -INFINITY)) continue;
        if (row[i] < least) least = row[i];
        if (!named[i]) mass += exp((double)scale * ((double)row[i] - (double)b->rest));
    }
    return least != b->least || !(fabs(b->mass - mass) <= 1e-5 * mass);
}

static int is_wrong(const rmr_best *b, const float *row, uint32_t width, float scale)
{
    unsigned char *const named = calloc(width, 1);
    int bad = b->n > width;
    for (uint32_t i = 0; i < b->n && !bad; i++) {
        if (!(b->value[i] > -INFINITY)) continue;
        const uint32_t c = (uint32_t)b->col[i];
        bad = c >= width || named[c]++ || memcmp(&row[c], &b->value[i], 4) != 0;
    }
    for (uint32_t i = 0; i < width && !bad; i++) bad = !named[i] && row[i] > b->rest;
    if (!bad && scale > 0 && b->rest > -INFINITY && b->rest < INFINITY)
        bad = rest_is_wrong(b, row, named, width, scale);
    free(named);
    return bad;
}

/* Those above all that is not named. */
static uint32_t certain(const rmr_best *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n; i++) n += b->value[i] > b->rest;
    return n;
}

/* ---- picks ---- */

enum { MOST_STAGES = 4 };

static const struct {
    int n;
    remora_stage stage[MOST_STAGES];
} chains[] = {
#define S(k, v, c)                                                                                 \
    {                                                                                              \
        .struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_##k, .value = v, .count = c      \
    }
    {1, {S(TEMPERATURE, 0, 0)}},
    {2, {S(TEMPERATURE, 0.7, 0), S(TOP_K, 0, 40)}},
    {3, {S(TOP_K, 0, 200), S(TOP_P, 0.9, 0), S(TEMPERATURE, 1.3, 0)}},
    {2, {S(TEMPERATURE, 0.9, 0), S(MIN_P, 0.05, 0)}},
    {4, {S(REPEAT, 1.3, 0), S(FREQUENCY, 0.2, 0), S(TEMPERATURE, 0.8, 0), S(TOP_K, 0, 20)}},
    {2, {S(TEMPERATURE, 0.6, 0), S(TOP_P, 0.95, 0)}},
    {0, {S(TEMPERATURE, 0, 0)}},
    {1, {S(TEMPERATURE, 1.7, 0)}},
    {1, {S(TOP_P, 0.7, 0)}},
    {3, {S(PRESENCE, 1.5, 20), S(BIAS, -INFINITY, 31), S(TEMPERATURE, 0, 0)}},
#undef S
};

static rmr_sampler *sampler_of(size_t chain, rmr_mem *mem, const float *row, uint32_t width)
{
    rmr_sampler *c = NULL;
    MUST(rmr_sampler_create(mem, width, chain + 1, &c, err));
    for (int i = 0; i < chains[chain].n; i++) {
        remora_stage s = chains[chain].stage[i];
        if (s.kind == REMORA_STAGE_BIAS) s.count %= width;
        MUST(rmr_sampler_add(c, &s, err));
    }
    for (uint32_t i = 0; i < width && i < 2000; i++) /* those of the history are likely */
        if (row[i] > 6) MUST(rmr_sampler_accept(c, (remora_token)i, err));
    return c;
}

static remora_status read_run(void *user, size_t first, size_t n, const float **out,
                              remora_error *err)
{
    static float run[RMR_GPU_BEST_PART];
    lookup *l = user;
    const rmr_area a = {1, (uint32_t)first, (uint32_t)n, 1, 1};
    *out = run;
    return check_gpu->ops->step_read(check_gpu, l->step, &a, run, err);
}

/* A pick from what the backend finds of the row. */
static remora_status pick_found(lookup *l, rmr_sampler *c, uint32_t width, remora_token *out)
{
    const rmr_sampler_wish w = rmr_sampler_needs(c);
    const rmr_best_wish wish = {w.n, w.scale};
    rmr_best b;
    rmr_masses m;
    if (w.n > 0) {
        MUST(check_gpu->ops->step_best(check_gpu, l->step, 1, 1, &wish, &b, err));
        const rmr_best_logits best = {b.col, b.value, b.n, b.rest, w.scale, b.least, b.mass};
        return rmr_sampler_pick_best(c, &best, out, NULL);
    }
    MUST(check_gpu->ops->step_masses(check_gpu, l->step, 1, 1, rmr_sampler_divisor(c), &m, err));
    const rmr_row_masses of = {m.top, m.mass, m.n, m.run, width, read_run, l};
    return rmr_sampler_pick_by_mass(c, &of, out, NULL);
}

/* Picks of one chain that differ; *found counts those that needed no row. */
static int picks_differ(lookup *l, size_t chain, const float *row, uint32_t width, int *found)
{
    rmr_mem mem;
    int bad = 0;
    memset(&mem, 0, sizeof mem);
    rmr_mem_init(&mem);
    rmr_sampler *const whole = sampler_of(chain, &mem, row, width);
    rmr_sampler *const part = sampler_of(chain, &mem, row, width);
    for (int i = 0; i < 4; i++) {
        remora_token a = -1, b = -1;
        const remora_status st = pick_found(l, part, width, &b),
                            want = rmr_sampler_pick(whole, row, width, &a, NULL);
        if (st == REMORA_MORE)
            (void)rmr_sampler_pick(part, row, width, &b, NULL);
        else
            bad |= st != want;
        *found += st != REMORA_MORE;
        bad |= a != b;
    }
    rmr_sampler_free(whole);
    rmr_sampler_free(part);
    return bad;
}

/* ---- all of it ---- */

static void check_row(const char *name, const float *row, uint32_t width)
{
    static const rmr_best_wish wishes[] = {{1, 0}, {41, 0}, {257, 0.03f}, {257, 1.4f}, {513, 0}};
    lookup l;
    char text[96], said[96];
    int from_best = 0;
    lookup_make(&l, row, width);
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        rmr_best b;
        MUST(check_gpu->ops->step_best(check_gpu, l.step, 1, 1, &wishes[i], &b, err));
        snprintf(text, sizeof text, "%u of %u, %s", wishes[i].n, width, name);
        snprintf(said, sizeof said, "%u named, %u of them certain", b.n, certain(&b));
        check_report(text, is_wrong(&b, row, width, wishes[i].scale), said);
    }
    int bad = 0;
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++)
        bad |= picks_differ(&l, i, row, width, &from_best);
    snprintf(text, sizeof text, "picks of %u, %s", width, name);
    snprintf(said, sizeof said, "%d of %zu needed no row", from_best,
             4 * sizeof chains / sizeof chains[0]);
    check_report(text, bad || (width > 4000 && strcmp(name, "plain") == 0 && from_best < 20), said);
    lookup_free(&l);
}

void check_best(int which)
{
    static const uint32_t widths[] = {5, 272, 4100, 102400, 163840};
    const uint32_t width = widths[which];
    float *const row = malloc(width * sizeof *row);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (uint32_t c = 0; c < width; c++) row[c] = rows[i].logit(c);
        check_row(rows[i].name, row, width);
    }
    free(row);
}
