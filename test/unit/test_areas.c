/* SPDX-License-Identifier: Apache-2.0 */
/* Areas of slots: what is written from outside is read by the next operation, also where it keeps a
 * quantised form of its input; areas beyond their slot are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"

enum { IN, OUT, SLOTS };
enum { ROWS = 5, COLS = 96, OUTS = 20 };

static const rmr_slot slots[SLOTS] = {{COLS, RMR_ROWS_ALL}, {OUTS, RMR_ROWS_ALL}};

typedef struct rig {
    bed bed;
    rmr_weight *table, *w;
    rmr_op ops[2]; /* rows of the table, and their product */
} rig;

static rmr_step *step_of(rig *r, uint32_t first)
{
    const rmr_step_desc d = {.ops = r->ops,
                             .n_ops = 2,
                             .slots = slots,
                             .n_slots = SLOTS,
                             .max_rows = ROWS,
                             .max_pages = 1,
                             .max_out = 1};
    const rmr_inputs in = bed_rows(first, ROWS, ROWS);
    return bed_step(&r->bed, &d, &in);
}

static void rig_init(rig *r, rmr_elem elem)
{
    bed_init(&r->bed, 2, 7);
    r->table =
        bed_weight(&r->bed, (rmr_weight_desc){RMR_USE_TABLE, RMR_ELEM_F32, 1, 2 * ROWS, COLS, {0}});
    r->w = bed_weight(&r->bed, (rmr_weight_desc){RMR_USE_MATRIX, elem, 1, OUTS, COLS, {0}});
    r->ops[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {IN, 0}, .w = r->table, .n = COLS};
    r->ops[1] =
        (rmr_op){.kind = RMR_OP_LINEAR, .in = {IN, 0}, .out = {OUT, 0}, .w = r->w, .n = COLS};
}

static void rig_free(rig *r)
{
    r->bed.be->ops->weight_free(r->bed.be, r->table);
    r->bed.be->ops->weight_free(r->bed.be, r->w);
    bed_free(&r->bed);
}

/* Copy the input of one step into another, by columns and rows that are no whole tiles. */
static void copy_input(const rig *r, rmr_step *from, rmr_step *to)
{
    const rmr_backend_ops *ops = r->bed.be->ops;
    static const uint32_t cols[] = {0, 13, 64, COLS};
    float v[ROWS * COLS];
    for (uint32_t c = 0; c < 3; c++)
        for (uint32_t row = 0; row < ROWS; row += 3) {
            const rmr_area a = {IN, cols[c], cols[c + 1] - cols[c], row, row == 0 ? 3 : ROWS - 3};
            assert_int_equal(ops->step_read(r->bed.be, from, &a, v, NULL), REMORA_OK);
            assert_int_equal(ops->step_write(r->bed.be, to, &a, v, NULL), REMORA_OK);
        }
}

static void written_is_read(void **state)
{
    static const rmr_elem elems[] = {RMR_ELEM_F32, RMR_ELEM_Q8_0};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        float was[ROWS][OUTS], got[ROWS][OUTS], expect[ROWS][OUTS];
        uint64_t mark;
        rig r;
        rig_init(&r, elems[i]);
        const rmr_backend_ops *ops = r.bed.be->ops;
        rmr_step *a = step_of(&r, 0), *b = step_of(&r, ROWS);
        bed_read(&r.bed, a, OUT, ROWS, was);
        bed_read(&r.bed, b, OUT, ROWS, expect);
        assert_memory_not_equal(was, expect, sizeof was);
        copy_input(&r, b, a);
        assert_int_equal(ops->step_submit(r.bed.be, a, &(rmr_slice){1, 1}, NULL, &mark, NULL),
                         REMORA_OK);
        bed_read(&r.bed, a, OUT, ROWS, got);
        assert_memory_equal(got, expect, sizeof got);
        bed_end(&r.bed, a);
        bed_end(&r.bed, b);
        rig_free(&r);
    }
}

static void beyond_the_slot(void **state)
{
    static const rmr_area bad[] = {{SLOTS, 0, 1, 0, 1},          {IN, 0, COLS + 1, 0, 1},
                                   {IN, COLS, 1, 0, 1},          {IN, 1, COLS, 0, 1},
                                   {IN, 0, 1, ROWS, 1},          {IN, 0, 1, 1, ROWS},
                                   {IN, 7, UINT32_MAX - 3, 0, 1}};
    float v[ROWS * COLS] = {0};
    rig r;
    (void)state;
    rig_init(&r, RMR_ELEM_F32);
    const rmr_backend_ops *ops = r.bed.be->ops;
    rmr_step *s = step_of(&r, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ops->step_read(r.bed.be, s, &bad[i], v, NULL), REMORA_E_INTERNAL);
        assert_int_equal(ops->step_write(r.bed.be, s, &bad[i], v, NULL), REMORA_E_INTERNAL);
    }
    bed_end(&r.bed, s);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(written_is_read),
                                       cmocka_unit_test(beyond_the_slot)};
    return cmocka_run_group_tests_name("areas", tests, NULL, NULL);
}
