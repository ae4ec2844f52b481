/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a model: their slices cover the operations in order, and where slices end is up
 * to the program: the host looks there, and results do not depend on it. */
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

enum { TOKENS = 40, MAX_SLICES = 256 };

static const tiny_opts kinds[] = {
    {0}, {.v2 = 1}, {.dense = "llama"}, {.dense = "qwen2"}, {.dense = "qwen3"}};

static void slices_cover_the_operations(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        tiny t;
        tiny_make(&t, &kinds[k]);
        remora_model *m = host_open(NULL, &t.source);
        const rmr_programs *all = &m->programs;
        const rmr_program *p = &all->program[RMR_PROGRAM_MAIN];
        const uint32_t layers = m->shape.n_layers, moe = m->shape.moe.n_experts > 0;
        uint32_t next = 0;
        assert_int_equal(all->n_ops, all->cap_ops);
        assert_int_equal(all->n_slices, all->cap_slices);
        assert_int_equal(p->n_slices, layers + 1 + moe);
        for (uint32_t i = 0; i < p->n_slices; i++) {
            const rmr_program_slice *s = &p->slices[i];
            assert_int_equal(s->kind, i < layers    ? RMR_SLICE_LAYER
                                      : i == layers ? RMR_SLICE_HEAD
                                                    : RMR_SLICE_FINISH);
            if (i < layers) assert_int_equal(s->layer, i);
            assert_int_equal(s->first, next);
            assert_true(s->n > 0);
            next += s->n;
        }
        assert_int_equal(next, all->n_ops);
        remora_model_free(m);
        tiny_free(&t);
    }
}

/* The same program with a slice's end behind every operation of that kind (RMR_OP_COUNT: of any),
 * in the layers. */
static uint32_t cut_behind(const remora_model *m, rmr_op_kind kind, rmr_program_slice *out)
{
    const rmr_program *p = &m->programs.program[RMR_PROGRAM_MAIN];
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_slices; i++) {
        rmr_program_slice s = p->slices[i];
        for (uint32_t op = s.first; s.kind == RMR_SLICE_LAYER && op + 1 < s.first + s.n; op++) {
            if (kind != RMR_OP_COUNT && m->programs.ops[op].kind != kind) continue;
            assert_true(n < MAX_SLICES);
            out[n++] = (rmr_program_slice){s.kind, s.layer, s.first, op + 1 - s.first};
            s.n -= op + 1 - s.first;
            s.first = op + 1;
        }
        assert_true(n < MAX_SLICES);
        out[n++] = s;
    }
    return n;
}

/* Logits of all tokens, an item of work at a time. */
static float *logits(remora_model *m)
{
    const remora_eval_opts o = {.struct_size = sizeof o, .budget_us = 1};
    const uint32_t vocab = host_vocab(m);
    remora_error err = HOST_ERROR;
    remora_session *s = NULL;
    remora_token ids[TOKENS];
    remora_status st;
    float *out = malloc((size_t)TOKENS * vocab * sizeof *out);
    assert_non_null(out);
    host_ids(ids, TOKENS, vocab, 1);
    REQUIRE_OK(remora_session_create(m, NULL, &s, &err), &err);
    REQUIRE_OK(remora_session_append(s, ids, TOKENS, REMORA_WANT_ALL, NULL), NULL);
    do st = remora_eval(&s, 1, &o, &err);
    while (st == REMORA_MORE);
    REQUIRE_OK(st, &err);
    for (uint32_t i = 0; i < TOKENS; i++) {
        const float *row;
        REQUIRE_OK(remora_session_logits(s, i, &row, NULL, NULL), NULL);
        memcpy(out + (size_t)i * vocab, row, vocab * sizeof *row);
    }
    remora_session_free(s);
    return out;
}

static void slices_end_where_the_program_says(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        tiny t;
        rmr_program_slice finer[MAX_SLICES];
        tiny_make(&t, &kinds[k]);
        remora_model *m = host_open(NULL, &t.source);
        rmr_program *p = &m->programs.program[RMR_PROGRAM_MAIN];
        const rmr_program whole = *p;
        const uint32_t moe = m->shape.moe.n_experts > 0 ? m->shape.n_layers - m->shape.n_dense : 0;
        float *expect = logits(m);
        const rmr_op_kind cuts[] = {RMR_OP_GATE, RMR_OP_COUNT};
        for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
            const uint32_t n = cut_behind(m, cuts[i], finer);
            *p = (rmr_program){finer, n};
            float *got = logits(m);
            *p = whole;
            if (cuts[i] == RMR_OP_GATE) assert_int_equal(n, whole.n_slices + moe);
            assert_memory_equal(got, expect, (size_t)TOKENS * host_vocab(m) * sizeof *got);
            free(got);
        }
        free(expect);
        remora_model_free(m);
        tiny_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(slices_cover_the_operations),
                                       cmocka_unit_test(slices_end_where_the_program_says)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
