/* SPDX-License-Identifier: Apache-2.0 */
/* The expert gate of the CPU backend on worked examples in double precision, A to D of
 * docs/models.md, "Gate". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "cpu.h"
#include "host.h"
#include "kernels.h"

enum { EXPERTS = 8, USED = 3, SLOT_LOGITS = 0, SLOT_IDS, SLOT_WEIGHTS, SLOT_COUNTS, SLOTS };

static const float g[EXPERTS] = {0.5f, -1, 2, 0, 1.5f, -0.5f, 1, 0.25f};
static const float bias_c[EXPERTS] = {0.10f, 0.60f, -0.20f, 0.30f, -0.30f, 0.05f, -0.05f, 0.0f};

typedef struct example {
    const char *name;
    rmr_moe moe;
    const float *bias;
    uint32_t ids[USED];
    double weights[USED]; /* of ids, in order of choice */
} example;

typedef struct bed {
    rmr_ctx ctx;
    rmr_backend *be;
} bed;

static void bed_init(bed *b, const char *isa)
{
    *b = (bed){0};
    rmr_mem_init(&b->ctx.mem);
    assert_int_equal(rmr_pool_create(&b->ctx.mem, 1, NULL, NULL, &b->ctx.pool, NULL), REMORA_OK);
    if (rmr_cpu_create(&b->ctx, isa, NULL, &b->be, NULL) < 0) b->be = NULL;
}

static void bed_free(bed *b)
{
    if (b->be != NULL) b->be->ops->free(b->be);
    rmr_pool_free(b->ctx.pool);
    assert_int_equal(atomic_load(&b->ctx.mem.bytes), 0);
}

static rmr_weight *weight(rmr_backend *be, rmr_weight_use use, uint32_t rows, const float *data)
{
    const rmr_weight_desc d = {use, RMR_ELEM_F32, 1, rows, EXPERTS, {0}};
    rmr_weight *w = NULL;
    assert_int_equal(be->ops->weight_create(be, &d, &w, NULL), REMORA_OK);
    assert_int_equal(be->ops->weight_upload(be, w, 0, 0, rows, data, NULL), REMORA_OK);
    assert_int_equal(be->ops->weight_done(be, w, NULL), REMORA_OK);
    return w;
}

/* Two rows with the same logits, brought in through the embedding; counts of both are added up. */
static void run(rmr_backend *be, const example *e)
{
    enum { ROWS = 2 };
    const rmr_backend_ops *ops = be->ops;
    const rmr_slot slots[SLOTS] = {{EXPERTS, RMR_ROWS_ALL},
                                   {e->moe.n_used, RMR_ROWS_ALL},
                                   {e->moe.n_used, RMR_ROWS_ALL},
                                   {EXPERTS, RMR_ROWS_ONE}};
    rmr_weight *table = weight(be, RMR_USE_TABLE, 1, g);
    rmr_weight *bias = e->bias != NULL ? weight(be, RMR_USE_VECTOR, 1, e->bias) : NULL;
    rmr_buffer *counts = NULL;
    rmr_step *s = NULL;
    uint64_t counted[EXPERTS], n_counted = 0;
    uint32_t ids[ROWS * USED];
    float weights[ROWS * USED];
    assert_int_equal(ops->buffer_create(be, sizeof counted, &counts, NULL), REMORA_OK);
    assert_int_equal(ops->buffer_zero(be, counts, 0, sizeof counted, NULL), REMORA_OK);
    const rmr_op list[4] = {
        {.kind = RMR_OP_EMBED, .out = {SLOT_LOGITS, 0}, .w = table, .n = EXPERTS},
        {.kind = RMR_OP_COUNTS_CLEAR, .counts = {SLOT_COUNTS, 0}},
        {.kind = RMR_OP_GATE,
         .in = {SLOT_LOGITS, 0},
         .counts = {SLOT_COUNTS, 0},
         .out = {SLOT_IDS, 0},
         .out2 = {SLOT_WEIGHTS, 0},
         .w = bias,
         .moe = &e->moe},
        {.kind = RMR_OP_COUNTS_ADD, .counts = {SLOT_COUNTS, 0}, .counters = counts}};
    const rmr_step_desc d = {list, 4, slots, SLOTS, ROWS, 1, 1, NULL};
    uint64_t mark;
    static _Alignas(RMR_ALIGN) unsigned char block[1024];
    rmr_inputs in = {.n_rows = ROWS, .n_runs = 1, .count_routing = 1};
    assert_true(rmr_inputs_place(&in, block, ROWS, 1) <= sizeof block);
    in.run[0] = (rmr_run){0, ROWS, 0, 0, RMR_FORM_ABSORBED, RMR_KV_F32};
    for (uint32_t i = 0; i < ROWS; i++) {
        in.token[i] = 0;
        in.pos[i] = i;
    }
    assert_int_equal(ops->step_create(be, &d, &s, NULL), REMORA_OK);
    assert_int_equal(ops->step_inputs(be, s, &in, NULL), REMORA_OK);
    assert_int_equal(ops->step_submit(be, s, &(rmr_slice){0, 4}, NULL, &mark, NULL), REMORA_OK);
    assert_int_equal(ops->step_wait(be, s, mark, NULL), REMORA_OK);
    const rmr_area id = {SLOT_IDS, 0, slots[SLOT_IDS].width, 0, ROWS},
                   weight = {SLOT_WEIGHTS, 0, slots[SLOT_WEIGHTS].width, 0, ROWS};
    assert_int_equal(ops->step_read(be, s, &id, ids, NULL), REMORA_OK);
    assert_int_equal(ops->step_read(be, s, &weight, weights, NULL), REMORA_OK);
    assert_int_equal(ops->buffer_read(be, counts, 0, counted, sizeof counted, NULL), REMORA_OK);
    const uint32_t used = e->moe.n_used;
    for (uint32_t i = 0; i < ROWS * used; i++) {
        if (ids[i] != e->ids[i % used]) fail_msg("%s: choice %u is %u", e->name, i, ids[i]);
        if (!(fabs(weights[i] / e->weights[i % used] - 1) < 1e-6)) /* float32 against double */
            fail_msg("%s: weight %u is %.9f", e->name, i, (double)weights[i]);
    }
    for (uint32_t i = 0; i < used; i++) assert_int_equal(counted[e->ids[i]], ROWS);
    for (int i = 0; i < EXPERTS; i++) n_counted += counted[i];
    assert_int_equal(n_counted, ROWS * used);
    ops->step_free(be, s);
    ops->buffer_free(be, counts);
    ops->weight_free(be, bias);
    ops->weight_free(be, table);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void worked_examples(void **state)
{
    char sets[HOST_SETS][16];
    static const float low[EXPERTS] = {-2, -2, -2, -2,
                                       -2, -2, -3, -3}; /* groups 1 and 2 are kept */
    const double s2 = sigmoid(2), s3 = sigmoid(0), s4 = sigmoid(1.5), sum = s2 + s4 + s3;
    const example examples[] = {
        {"A",
         {RMR_GATE_SOFTMAX, EXPERTS, USED, 1, 1, 0, 1.0f, 0, 0},
         NULL,
         {2, 4, 6},
         {0.379000125, 0.229875196, 0.139426354}},
        {"A normalised",
         {RMR_GATE_SOFTMAX, EXPERTS, USED, 1, 1, 1, 7.0f, 0, 0},
         NULL,
         {2, 4, 6},
         {0.379000125 / 0.748301676, 0.229875196 / 0.748301676, 0.139426354 / 0.748301676}},
        {"B",
         {RMR_GATE_SOFTMAX_GROUP, EXPERTS, USED, 4, 2, 0, 16.0f, 0, 0},
         NULL,
         {2, 4, 3},
         {6.064002006, 3.678003137, 0.820673429}},
        {"C",
         {RMR_GATE_SIGMOID, EXPERTS, USED, 4, 2, 1, 2.5f, 0, 0},
         bias_c,
         {1, 3, 0},
         {0.483220634, 0.898375251, 1.118404116}},
        {"C in one group",
         {RMR_GATE_SIGMOID, EXPERTS, USED, 1, 1, 1, 2.827f, 0, 0},
         bias_c,
         {1, 3, 0},
         {0.546425893, 1.015882734, 1.264691374}},
        {"C without bias",
         {RMR_GATE_SIGMOID, EXPERTS, USED, 1, 1, 0, 1.0f, 0, 0},
         NULL,
         {2, 4, 6},
         {s2, s4, sigmoid(1)}},
        {"D",
         {RMR_GATE_SIGMOID, EXPERTS, USED, 4, 2, 1, 2.5f, 0, 0},
         low,
         {2, 4, 3},
         {2.5 * s2 / sum, 2.5 * s4 / sum, 2.5 * s3 / sum}},
        /* groups by the sum of two: 1 and 3, by the largest: 1 and 2 */
        {"sum of two",
         {RMR_GATE_SIGMOID, EXPERTS, USED, 4, 2, 0, 1.0f, 0, 0},
         NULL,
         {2, 6, 7},
         {s2, sigmoid(1), sigmoid(0.25)}},
        /* one expert is not normalised, or its weight would always be 1 */
        {"one", {RMR_GATE_SIGMOID, EXPERTS, 1, 1, 1, 1, 2.5f, 0, 0}, NULL, {2}, {2.5 * s2}},
        {"one, softmax",
         {RMR_GATE_SOFTMAX, EXPERTS, 1, 1, 1, 1, 2, 0, 0},
         NULL,
         {2},
         {2 * 0.379000125}},
    };
    (void)state;
    for (uint32_t i = host_sets(sets); i-- > 0;) {
        bed b;
        bed_init(&b, sets[i]);
        for (size_t k = 0; b.be != NULL && k < sizeof examples / sizeof examples[0]; k++)
            run(b.be, &examples[k]);
        bed_free(&b);
    }
}

/* remora_build_info names the sets of the table, in its order. */
static void sets_of_build_info(void **state)
{
    char sets[HOST_SETS][16];
    const uint32_t n = host_sets(sets);
    const rmr_kernels *set;
    int usable;
    (void)state;
    for (uint32_t i = 0; i < n; i++) {
        assert_non_null(set = rmr_kernels_at(i, &usable));
        assert_string_equal(set->name, sets[i]);
    }
    assert_null(rmr_kernels_at(n, &usable));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(worked_examples),
                                       cmocka_unit_test(sets_of_build_info)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
