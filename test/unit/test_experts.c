/* SPDX-License-Identifier: Apache-2.0 */
/* Mixtures of experts with integer weights wider than what is done at a time: a row has the same
 * result alone and beside any number of others, whatever the number of threads, and whether gate
 * and down are of one slice or not. Blocks of tiles that did not begin with whole runs of 32 would
 * quantise what lies between wrongly. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"

enum { HIDDEN = 64, INNER = 2080, SHARED = 2400, EXPERTS = 3, USED = 2, MAX_ROWS = 37 };
typedef struct rig {
    bed bed;
    bed_moe m;
} rig;

static void rig_init(rig *r, uint32_t threads)
{
    bed *const b = &r->bed;
    bed_moe *const m = &r->m;
    const rmr_weight_use mat = RMR_USE_MATRIX;
    bed_init(b, threads, 11);
    for (int i = 0; i < 2; i++) {
        m->w[i] = bed_weight(b, (rmr_weight_desc){mat, RMR_ELEM_Q8_0, EXPERTS, INNER, HIDDEN, {0}});
        m->s[i] = bed_weight(b, (rmr_weight_desc){mat, RMR_ELEM_Q8_0, 1, SHARED, HIDDEN, {0}});
    }
    m->w[2] = bed_weight(b, (rmr_weight_desc){mat, RMR_ELEM_Q8_0, EXPERTS, HIDDEN, INNER, {0}});
    m->s[2] = bed_weight(b, (rmr_weight_desc){mat, RMR_ELEM_Q8_0, 1, HIDDEN, SHARED, {0}});
    m->table =
        bed_weight(b, (rmr_weight_desc){RMR_USE_TABLE, RMR_ELEM_F32, 1, MAX_ROWS, HIDDEN, {0}});
    m->logits =
        bed_weight(b, (rmr_weight_desc){RMR_USE_TABLE, RMR_ELEM_F32, 1, MAX_ROWS, EXPERTS, {0}});
}

static void rig_free(rig *r)
{
    bed_moe_free(&r->bed, &r->m);
    bed_free(&r->bed);
}

/* Rows [first, first + n) of the output, which begins as the input, by a step made for max_rows. */
static void run(rig *r, uint32_t first, uint32_t n, uint32_t max_rows, float (*out)[HIDDEN])
{
    rmr_slot slots[BED_MOE_SLOTS];
    rmr_op list[1 + BED_MOE_OPS] = {
        {.kind = RMR_OP_EMBED, .out = {BED_OUT, 0}, .w = r->m.table, .n = HIDDEN}};
    bed_moe_plan(&r->m, USED, slots, list + 1);
    const rmr_step_desc d = {list, 1 + BED_MOE_OPS, slots, BED_MOE_SLOTS, max_rows, 1, 1, NULL};
    const rmr_inputs in = bed_rows(first, n, max_rows);
    rmr_step *s = bed_step(&r->bed, &d, &in);
    bed_read(&r->bed, s, BED_OUT, n, out);
    bed_end(&r->bed, s);
}

static void rows_beside_each_other(void **state)
{
    static float alone[MAX_ROWS][HIDDEN], beside[MAX_ROWS][HIDDEN];
    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        rig r;
        rig_init(&r, threads);
        for (uint32_t i = 0; threads == 1 && i < MAX_ROWS; i++) run(&r, i, 1, 1, alone + i);
        for (uint32_t n = 1; n <= MAX_ROWS; n++) {
            const uint32_t first = MAX_ROWS - n;
            r.bed.apart = n % 3 == 0;
            run(&r, first, n, MAX_ROWS, beside);
            if (memcmp(beside, alone + first, n * sizeof *beside) != 0)
                fail_msg("%u threads, %u rows: other bits", threads, n);
        }
        rig_free(&r);
    }
}

/* Scores that are no numbers make a row choose one expert several times. */
static void no_numbers(void **state)
{
    static float logits[MAX_ROWS][EXPERTS], out[MAX_ROWS][HIDDEN];
    rig r;
    (void)state;
    rig_init(&r, 2);
    for (uint32_t i = 0; i < MAX_ROWS * EXPERTS; i++) logits[i / EXPERTS][i % EXPERTS] = NAN;
    const rmr_weight_desc d = r.m.logits->desc;
    r.bed.be->ops->weight_free(r.bed.be, r.m.logits);
    r.m.logits = bed_weight_of(&r.bed, d, logits);
    for (uint32_t n = 1; n <= 6; n++) {
        r.bed.apart = n > 3;
        run(&r, 0, n, n, out);
        for (uint32_t i = 0; i < n * HIDDEN; i++) assert_true(isnan(out[i / HIDDEN][i % HIDDEN]));
    }
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_beside_each_other),
                                       cmocka_unit_test(no_numbers)};
    return cmocka_run_group_tests_name("experts", tests, NULL, NULL);
}
