/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations and the check of programs: those of all kinds of models pass, and a wrong
 * slot, an operation left out, a missing weight or dimension do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "model.h"
#include "tiny.h"

static const tiny_opts kinds[] = {
    {0}, {.v2 = 1}, {.dense = "llama"}, {.dense = "qwen2"}, {.dense = "qwen3"}};

static remora_status check(const rmr_programs *l, remora_error *err)
{
    return rmr_ops_check(l->ops, l->n_ops, l->slots, RMR_SLOT_COUNT, l->cache, err);
}

static void refused(const rmr_programs *l, const char *says)
{
    remora_error err = HOST_ERROR;
    assert_int_equal(check(l, &err), REMORA_E_INTERNAL);
    if (strstr(err.message, says) == NULL) fail_msg("%s: no \"%s\"", err.message, says);
}

static rmr_view *view_of(rmr_op *op, uint32_t which)
{
    return (rmr_view *)(void *)((char *)op + rmr_op_view_at(which));
}

/* Every view of every operation with another slot or column. */
static void wrong_views(rmr_programs *l)
{
    for (uint32_t i = 0; i < l->n_ops; i++) {
        rmr_op *const op = &l->ops[i];
        const uint32_t used = rmr_op_reads(op) | rmr_op_infos[op->kind].writes;
        for (uint32_t v = 1; v <= RMR_VIEW_ALL; v <<= 1) {
            rmr_view *const view = view_of(op, v), was = *view;
            if (!(used & v)) continue;
            view->slot = RMR_SLOT_COUNT;
            refused(l, rmr_op_infos[op->kind].name);
            *view = was;
            if (rmr_op_width(op, v) == 0) { /* a view that this operation does without, or all */
                assert_true(v != RMR_VIEW_OUT);
                continue;
            }
            view->col = l->slots[was.slot].width;
            refused(l, "columns");
            *view = was;
        }
    }
}

/* Without the operation that makes it, a slot is read before anything has written it. */
static void left_out(const rmr_programs *l)
{
    rmr_op *const ops = malloc(l->n_ops * sizeof *ops);
    rmr_programs less = *l;
    assert_non_null(ops);
    less.ops = ops;
    less.n_ops = l->n_ops - 1;
    for (uint32_t i = 0; i < 4; i++) { /* embedding, rope table, clearing of counts or norm, .. */
        memcpy(ops, l->ops, i * sizeof *ops);
        memcpy(ops + i, l->ops + i + 1, (l->n_ops - i - 1) * sizeof *ops);
        refused(&less, "nothing has written");
    }
    free(ops);
}

static void wrong_parts(rmr_programs *l)
{
    for (uint32_t i = 0; i < l->n_ops; i++) {
        const rmr_op was = l->ops[i];
        rmr_op *const op = &l->ops[i];
        if (rmr_op_infos[was.kind].weights > 0) {
            op->w = NULL;
            refused(l, "weight");
            *op = was;
        }
        if (rmr_op_infos[was.kind].dims != 0) {
            op->mla = NULL;
            op->gqa = NULL;
            op->moe = NULL;
            refused(l, "dimensions");
            *op = was;
        }
        op->rows = was.rows == RMR_ROWS_ALL ? RMR_ROWS_OUT : RMR_ROWS_ALL;
        if (was.kind != RMR_OP_COUNTS_CLEAR && was.kind != RMR_OP_COUNTS_ADD) refused(l, "rows");
        *op = was;
    }
}

/* A stream that is not there, one that nothing has written, and one with other rows. */
static void wrong_streams(rmr_programs *l)
{
    for (uint32_t i = 0; i < l->n_ops; i++) {
        rmr_op *const op = &l->ops[i];
        const uint32_t uses = rmr_op_infos[op->kind].cache, was = op->stream;
        rmr_cache_stream other[8];
        const rmr_cache_layout cache = {.n_streams = l->cache->n_streams, .streams = other};
        rmr_programs wider = *l;
        if (uses == 0) continue;
        op->stream = l->cache->n_streams;
        refused(l, "stream");
        op->stream = l->cache->n_streams - 1;
        if (uses == RMR_CACHE_READS && was != op->stream) refused(l, "nothing has written");
        op->stream = was;
        assert_true(cache.n_streams <= 8);
        memcpy(other, l->cache->streams, cache.n_streams * sizeof *other);
        other[was].width++;
        wider.cache = &cache;
        refused(&wider, "rows of");
    }
}

static void programs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tiny t;
        rmr_programs l;
        remora_error err = HOST_ERROR;
        tiny_make(&t, &kinds[i]);
        remora_model *m = host_open(NULL, &t.source);
        REQUIRE_OK(rmr_programs_make(m, &m->mem, &l, &err), &err);
        REQUIRE_OK(check(&l, &err), &err);
        assert_int_equal(l.n_ops, l.cap_ops);
        wrong_views(&l);
        left_out(&l);
        wrong_parts(&l);
        wrong_streams(&l);
        REQUIRE_OK(check(&l, &err), &err);
        rmr_programs_free(&m->mem, &l);
        remora_model_free(m);
        tiny_free(&t);
    }
}

static void table(void **state)
{
    (void)state;
    for (int k = 0; k < RMR_OP_COUNT; k++) {
        assert_non_null(rmr_op_infos[k].name);
        for (int j = 0; j < k; j++)
            assert_string_not_equal(rmr_op_infos[k].name, rmr_op_infos[j].name);
        assert_true(rmr_op_infos[k].reads != 0 || rmr_op_infos[k].writes != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(programs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
