/* Mixtures of experts with integer weights wider than what is done at a time: a row has the same
 * result alone and beside any number of others, whatever the number of threads. Blocks of tiles
 * that did not begin with whole runs of 32 would quantise what lies between wrongly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"

enum { HIDDEN = 64, INNER = 2080, SHARED = 2400, EXPERTS = 3, USED = 2, MAX_ROWS = 37 };
enum { IN, ROUTER, IDS, WEIGHTS, OUT, SLOTS };

typedef struct rig {
    bed bed;
    rmr_weight *w[3], *s[3], *table, *logits;
} rig;

static void rig_init(rig *r, uint32_t threads)
{
    bed *const b = &r->bed;
    const rmr_weight_use mat = RMR_USE_MATRIX;
    bed_init(b, threads, 11);
    for (int i = 0; i < 2; i++) {
        r->w[i] = bed_weight(b, (rmr_weight_desc){mat, RMR_ELEM_Q8_0, EXPERTS, INNER, HIDDEN});
        r->s[i] = bed_weight(b, (rmr_weight_desc){mat, RMR_ELEM_Q8_0, 1, SHARED, HIDDEN});
    }
    r->w[2] = bed_weight(b, (rmr_weight_desc){mat, RMR_ELEM_Q8_0, EXPERTS, HIDDEN, INNER});
    r->s[2] = bed_weight(b, (rmr_weight_desc){mat, RMR_ELEM_Q8_0, 1, HIDDEN, SHARED});
    r->table = bed_weight(b, (rmr_weight_desc){RMR_USE_TABLE, RMR_ELEM_F32, 1, MAX_ROWS, HIDDEN});
    r->logits = bed_weight(b, (rmr_weight_desc){RMR_USE_TABLE, RMR_ELEM_F32, 1, MAX_ROWS, EXPERTS});
}

static void rig_free(rig *r)
{
    rmr_backend *const be = r->bed.be;
    for (int i = 0; i < 3; i++) {
        be->ops->weight_free(be, r->w[i]);
        be->ops->weight_free(be, r->s[i]);
    }
    be->ops->weight_free(be, r->table);
    be->ops->weight_free(be, r->logits);
    bed_free(&r->bed);
}

/* Rows [first, first + n) of the output, which begins as the input. */
static void run(rig *r, uint32_t first, uint32_t n, float (*out)[HIDDEN])
{
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
        {.kind = RMR_OP_EMBED, .out = {IN, 0}, .w = r->table, .n = HIDDEN},
        {.kind = RMR_OP_EMBED, .out = {OUT, 0}, .w = r->table, .n = HIDDEN},
        {.kind = RMR_OP_EMBED, .out = {ROUTER, 0}, .w = r->logits, .n = EXPERTS},
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
         .w = r->w[0],
         .w2 = r->w[1],
         .w3 = r->w[2],
         .s1 = r->s[0],
         .s2 = r->s[1],
         .s3 = r->s[2],
         .moe = &moe,
         .n = HIDDEN},
    };
    const rmr_step_desc d = {list,  sizeof list / sizeof *list, slots, SLOTS, MAX_ROWS, 1, 1,
                             {0, 0}};
    static _Alignas(RMR_ALIGN) unsigned char block[8192];
    rmr_inputs in = {.n_rows = n, .n_runs = 1};
    assert_true(rmr_inputs_place(&in, block, MAX_ROWS, 1) <= sizeof block);
    in.run[0] = (rmr_run){0, n, 0, 0, RMR_FORM_ABSORBED, RMR_KV_F32};
    for (uint32_t i = 0; i < n; i++) {
        in.token[i] = (int32_t)(first + i);
        in.pos[i] = i;
    }
    bed_run(&r->bed, &d, &in, OUT, n, out);
}

static void rows_beside_each_other(void **state)
{
    static float alone[MAX_ROWS][HIDDEN], beside[MAX_ROWS][HIDDEN];
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        rig r;
        rig_init(&r, threads);
        for (uint32_t i = 0; threads == 1 && i < MAX_ROWS; i++) run(&r, i, 1, alone + i);
        for (uint32_t n = 1; n <= MAX_ROWS; n++) {
            const uint32_t first = MAX_ROWS - n;
            run(&r, first, n, beside);
            if (memcmp(beside, alone + first, n * sizeof *beside) != 0)
                fail_msg("%u threads, %u rows: other bits", threads, n);
        }
        rig_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_beside_each_other)};
    return cmocka_run_group_tests_name("experts", tests, NULL, NULL);
}
