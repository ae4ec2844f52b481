/* SPDX-License-Identifier: Apache-2.0 */
/* A step of the CPU backend of which an operation fails, and weights whose matrices do not lie one
 * after another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bed.h"
#include "host.h"

enum { ROWS = 5, WIDTH = 4, N = 3 };

typedef struct lookup {
    bed b;
    rmr_weight *table;
    rmr_op op[2];
    rmr_slot slots[2];
    rmr_step *step;
} lookup;

/* Two slots with the same rows of a table, by an operation each. */
static void lookup_begin(lookup *l)
{
    bed_init(&l->b, 1, 5);
    l->table = bed_weight(
        &l->b,
        (rmr_weight_desc){
            .use = RMR_USE_TABLE, .elem = RMR_ELEM_F32, .count = 1, .rows = ROWS, .cols = WIDTH});
    for (uint32_t i = 0; i < 2; i++) {
        l->slots[i] = (rmr_slot){WIDTH, RMR_ROWS_ALL};
        l->op[i] = (rmr_op){.kind = RMR_OP_EMBED, .out = {i, 0}, .w = l->table, .n = WIDTH};
    }
    const rmr_step_desc d = {
        .ops = l->op, .n_ops = 2, .slots = l->slots, .n_slots = 2, .max_rows = N, .max_out = 1};
    REQUIRE(l->b.be->ops->step_create(l->b.be, &d, &l->step, NULL) == REMORA_OK);
}

static void lookup_end(lookup *l)
{
    l->b.be->ops->step_free(l->b.be, l->step);
    l->b.be->ops->weight_free(l->b.be, l->table);
    bed_free(&l->b);
}

static void inputs(lookup *l, int32_t last)
{
    rmr_inputs in = bed_rows(1, N, N);
    in.token[N - 1] = last;
    assert_int_equal(l->b.be->ops->step_inputs(l->b.be, l->step, &in, NULL), REMORA_OK);
}

static remora_status submit(lookup *l, uint32_t first, uint64_t *mark, remora_error *err)
{
    return l->b.be->ops->step_submit(l->b.be, l->step, &(rmr_slice){first, 1}, NULL, mark, err);
}

static void read_slot(lookup *l, uint32_t slot, float *to)
{
    const rmr_area a = {slot, 0, WIDTH, 0, N};
    assert_int_equal(l->b.be->ops->step_read(l->b.be, l->step, &a, to, NULL), REMORA_OK);
}

static void a_failed_operation_ends_its_step(void **state)
{
    static const int32_t wrong[] = {ROWS, -1};
    const rmr_backend_ops *ops;
    float was[N * WIDTH], is[N * WIDTH];
    uint64_t mark = 0, first;
    lookup l;
    (void)state;
    lookup_begin(&l);
    ops = l.b.be->ops;
    for (int i = 0; i < 2; i++) {
        remora_error err = HOST_ERROR;
        inputs(&l, 0);
        assert_int_equal(submit(&l, 1, &first, NULL), REMORA_OK);
        read_slot(&l, 1, was);
        inputs(&l, wrong[i]);
        assert_int_equal(submit(&l, 0, &mark, &err), REMORA_E_INTERNAL);
        assert_non_null(strstr(err.message, "is not a row of the table, which has 5"));
        assert_int_equal(mark, first + 1);
        assert_int_equal(ops->step_wait(l.b.be, l.step, mark, &err), REMORA_E_INTERNAL);
        assert_int_equal(submit(&l, 1, &mark, &err), REMORA_E_INTERNAL);
        assert_string_equal(err.message, "a slice before it has failed");
        assert_int_equal(ops->step_wait(l.b.be, l.step, mark, NULL), REMORA_E_INTERNAL);
        read_slot(&l, 1, is); /* the slice behind it did nothing */
        assert_memory_equal(is, was, sizeof is);
        inputs(&l, 2);
        assert_int_equal(submit(&l, 0, &mark, NULL), REMORA_OK);
        assert_int_equal(ops->step_wait(l.b.be, l.step, mark, NULL), REMORA_OK);
        read_slot(&l, 0, is);
        assert_memory_equal(is, was, sizeof is - WIDTH * sizeof *is); /* but the last token */
    }
    lookup_end(&l);
}

/* ---- matrices in another order ---- */

/* Matrices of the experts as they are, or each where its opposite would be: only the table says. */
static void reverse(rmr_weight *w)
{
    unsigned char *const mine = malloc((size_t)w->bytes);
    REQUIRE(mine != NULL);
    memcpy(mine, w->data, (size_t)w->bytes);
    for (uint32_t i = 0; i < w->desc.count; i++) {
        unsigned char *const to = w->data + (w->desc.count - 1 - i) * w->stride;
        memcpy(to, mine + i * w->stride, (size_t)w->stride);
        w->at[i] = to;
    }
    free(mine);
}

static void matrices_lie_where_the_table_says(void **state)
{
    enum { HIDDEN = 48, INNER = 32, EXPERTS = 6, TOKENS = 9 };
    float expect[TOKENS * HIDDEN], got[TOKENS * HIDDEN];
    rmr_slot slots[BED_MOE_SLOTS];
    rmr_op ops[1 + BED_MOE_OPS];
    bed_moe m = {0};
    bed b;
    (void)state;
    bed_init(&b, 2, 11);
    for (int i = 0; i < 3; i++) {
        rmr_weight_desc d = {.use = RMR_USE_MATRIX,
                             .elem = RMR_ELEM_F32,
                             .count = EXPERTS,
                             .rows = i < 2 ? INNER : HIDDEN,
                             .cols = i < 2 ? HIDDEN : INNER};
        m.w[i] = bed_weight(&b, d);
        d.count = 1;
        m.s[i] = bed_weight(&b, d);
    }
    m.table = bed_weight(&b, (rmr_weight_desc){.use = RMR_USE_TABLE,
                                               .elem = RMR_ELEM_F32,
                                               .count = 1,
                                               .rows = TOKENS,
                                               .cols = HIDDEN});
    m.logits = bed_weight(&b, (rmr_weight_desc){.use = RMR_USE_TABLE,
                                                .elem = RMR_ELEM_F32,
                                                .count = 1,
                                                .rows = TOKENS,
                                                .cols = EXPERTS});
    bed_moe_plan(&m, 2, slots, ops + 1);
    ops[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {BED_OUT, 0}, .w = m.table, .n = HIDDEN};
    const rmr_step_desc d = {.ops = ops,
                             .n_ops = 1 + BED_MOE_OPS,
                             .slots = slots,
                             .n_slots = BED_MOE_SLOTS,
                             .max_rows = TOKENS,
                             .max_out = 1};
    const rmr_inputs in = bed_rows(0, TOKENS, TOKENS);
    for (int turn = 0; turn < 2; turn++) {
        rmr_step *s = bed_step(&b, &d, &in);
        bed_read(&b, s, BED_OUT, TOKENS, turn == 0 ? expect : got);
        bed_end(&b, s);
        for (int i = 0; i < 3; i++) reverse(m.w[i]);
    }
    assert_memory_equal(got, expect, sizeof got);
    bed_moe_free(&b, &m);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_operation_ends_its_step),
        cmocka_unit_test(matrices_lie_where_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
