/* Mixtures of experts with integer weights wider than what is done at a time: a row has the same
 * result alone and beside any number of others, whatever the number of threads. Blocks of tiles
 * that did not begin with whole runs of 32 would quantise what lies between wrongly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu.h"
#include "host.h"

enum { HIDDEN = 64, INNER = 2080, SHARED = 2400, EXPERTS = 3, USED = 2, MAX_ROWS = 37 };
enum { IN, ROUTER, IDS, WEIGHTS, OUT, SLOTS };

typedef struct bed {
    rmr_ctx ctx;
    rmr_backend *be;
    rmr_weight *w[3], *s[3], *table, *logits;
    uint64_t seed;
} bed;

/* Random weights: Q8_0 with a scale of 2^-7, or F32. */
static rmr_weight *weight(bed *b, rmr_weight_use use, rmr_elem elem, uint32_t count, uint32_t rows,
                          uint32_t cols)
{
    const rmr_weight_desc d = {use, elem, count, rows, cols};
    const size_t bytes = (size_t)rows * rmr_row_bytes(elem, cols);
    unsigned char *data = malloc(bytes);
    rmr_weight *w = NULL;
    assert_non_null(data);
    assert_int_equal(b->be->ops->weight_create(b->be, &d, &w, NULL), REMORA_OK);
    for (uint32_t i = 0; i < count; i++) {
        for (size_t k = 0; elem == RMR_ELEM_Q8_0 && k < bytes; k++)
            data[k] = k % 34 > 1 ? (unsigned char)host_random(&b->seed) : k % 34 == 1 ? 0x20 : 0;
        for (size_t k = 0; elem == RMR_ELEM_F32 && k < bytes / 4; k++)
            ((float *)(void *)data)[k] = (float)host_random(&b->seed) * 0x1p-31f - 1;
        assert_int_equal(b->be->ops->weight_upload(b->be, w, i, 0, rows, data, NULL), REMORA_OK);
    }
    free(data);
    return w;
}

static void bed_init(bed *b, uint32_t threads)
{
    *b = (bed){.seed = 11};
    rmr_mem_init(&b->ctx.mem);
    assert_int_equal(rmr_pool_create(&b->ctx.mem, threads, NULL, NULL, &b->ctx.pool, NULL), 0);
    assert_int_equal(rmr_cpu_create(&b->ctx, NULL, NULL, &b->be, NULL), REMORA_OK);
    for (int i = 0; i < 2; i++) {
        b->w[i] = weight(b, RMR_USE_MATRIX, RMR_ELEM_Q8_0, EXPERTS, INNER, HIDDEN);
        b->s[i] = weight(b, RMR_USE_MATRIX, RMR_ELEM_Q8_0, 1, SHARED, HIDDEN);
    }
    b->w[2] = weight(b, RMR_USE_MATRIX, RMR_ELEM_Q8_0, EXPERTS, HIDDEN, INNER);
    b->s[2] = weight(b, RMR_USE_MATRIX, RMR_ELEM_Q8_0, 1, HIDDEN, SHARED);
    b->table = weight(b, RMR_USE_TABLE, RMR_ELEM_F32, 1, MAX_ROWS, HIDDEN);
    b->logits = weight(b, RMR_USE_TABLE, RMR_ELEM_F32, 1, MAX_ROWS, EXPERTS);
}

static void bed_free(bed *b)
{
    const rmr_backend_ops *ops = b->be->ops;
    for (int i = 0; i < 3; i++) {
        ops->weight_free(b->be, b->w[i]);
        ops->weight_free(b->be, b->s[i]);
    }
    ops->weight_free(b->be, b->table);
    ops->weight_free(b->be, b->logits);
    ops->free(b->be);
    rmr_pool_free(b->ctx.pool);
    assert_int_equal(atomic_load(&b->ctx.mem.bytes), 0);
}

/* Rows [first, first + n) of the output, which begins as the input. */
static void run(bed *b, uint32_t first, uint32_t n, float (*out)[HIDDEN])
{
    const rmr_backend_ops *ops = b->be->ops;
    const rmr_moe moe = {.gate = RMR_GATE_SOFTMAX,
                         .n_experts = EXPERTS,
                         .n_used = USED,
                         .n_group = 1,
                         .topk_group = 1,
                         .scale = 1,
                         .inner = INNER,
                         .shared_inner = SHARED};
    const rmr_slot slots[SLOTS] = {{HIDDEN, 0}, {EXPERTS, 0}, {USED, 0}, {USED, 0}, {HIDDEN, 0}};
    const rmr_op list[] = {
        {.kind = RMR_OP_EMBED, .out = {IN, 0}, .w = b->table, .n = HIDDEN},
        {.kind = RMR_OP_EMBED, .out = {OUT, 0}, .w = b->table, .n = HIDDEN},
        {.kind = RMR_OP_EMBED, .out = {ROUTER, 0}, .w = b->logits, .n = EXPERTS},
        {.kind = RMR_OP_GATE,
         .in = {ROUTER, 0},
         .out = {IDS, 0},
         .out2 = {WEIGHTS, 0},
         .moe = &moe},
        {.kind = RMR_OP_EXPERTS,
         .in = {IN, 0},
         .in2 = {IDS, 0},
         .in3 = {WEIGHTS, 0},
         .out = {OUT, 0},
         .w = b->w[0],
         .w2 = b->w[1],
         .w3 = b->w[2],
         .s1 = b->s[0],
         .s2 = b->s[1],
         .s3 = b->s[2],
         .moe = &moe,
         .n = HIDDEN},
    };
    const rmr_step_desc d = {list,  sizeof list / sizeof *list, slots, SLOTS, MAX_ROWS, 1, 1,
                             {0, 0}};
    static _Alignas(RMR_ALIGN) unsigned char block[8192];
    rmr_inputs in = {.n_rows = n, .n_runs = 1};
    rmr_step *s = NULL;
    uint64_t mark;
    assert_true(rmr_inputs_place(&in, block, MAX_ROWS, 1) <= sizeof block);
    in.run[0] = (rmr_run){0, n, 0, 0, RMR_FORM_ABSORBED, RMR_KV_F32};
    for (uint32_t i = 0; i < n; i++) {
        in.token[i] = (int32_t)(first + i);
        in.pos[i] = i;
    }
    assert_int_equal(ops->step_create(b->be, &d, &s, NULL), REMORA_OK);
    assert_int_equal(ops->step_inputs(b->be, s, &in, NULL), REMORA_OK);
    assert_int_equal(ops->step_submit(b->be, s, &(rmr_slice){0, d.n_ops, 0, 0}, &mark, NULL), 0);
    assert_int_equal(ops->step_wait(b->be, s, mark, NULL), REMORA_OK);
    assert_int_equal(ops->step_read(b->be, s, OUT, 0, n, out, NULL), REMORA_OK);
    ops->step_free(b->be, s);
}

static void rows_beside_each_other(void **state)
{
    static float alone[MAX_ROWS][HIDDEN], beside[MAX_ROWS][HIDDEN];
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        bed b;
        bed_init(&b, threads);
        for (uint32_t i = 0; threads == 1 && i < MAX_ROWS; i++) run(&b, i, 1, alone + i);
        for (uint32_t n = 1; n <= MAX_ROWS; n++) {
            const uint32_t first = MAX_ROWS - n;
            run(&b, first, n, beside);
            if (memcmp(beside, alone + first, n * sizeof *beside) != 0)
                fail_msg("%u threads, %u rows: other bits", threads, n);
        }
        bed_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_beside_each_other)};
    return cmocka_run_group_tests_name("experts", tests, NULL, NULL);
}
