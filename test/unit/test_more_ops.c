/* SPDX-License-Identifier: Apache-2.0 */
/* An operation is one row of the list and one function of a backend: here a copy of NORM takes the
 * place of every norm of a model, in a library that has it (test/support/more_ops.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "guard_backend.h"
#include "host.h"
#include "model.h"
#include "tiny.h"

enum { TOKENS = 40 };

static const tiny_opts kinds[] = {{0}, {.dense = "qwen3"}};

/* The norms of all programs become copies; returns how many they are. */
static uint32_t exchange(remora_model *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->programs.n_ops; i++) {
        if (m->programs.ops[i].kind != RMR_OP_NORM) continue;
        m->programs.ops[i].kind = RMR_OP_NORM_COPY;
        n++;
    }
    return n;
}

static remora_model *open_model(const tiny *t)
{
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 2};
    remora_runtime *rt;
    remora_error err = HOST_ERROR;
    REQUIRE_OK(guard_runtime_create(&o, &rt, &err), &err);
    remora_model *m = host_open(rt, &t->source);
    remora_runtime_free(rt);
    return m;
}

static void the_same_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tiny t;
        remora_token ids[TOKENS];
        float *row[2];
        size_t bytes = 0;
        tiny_make(&t, &kinds[i]);
        for (int copies = 0; copies < 2; copies++) {
            remora_model *m = open_model(&t);
            if (copies) assert_true(exchange(m) > 6);
            host_ids(ids, TOKENS, host_vocab(m), 7);
            row[copies] = host_logits(m, ids, TOKENS);
            bytes = (size_t)TOKENS * host_vocab(m) * sizeof *row[0];
            remora_model_free(m);
        }
        assert_memory_equal(row[0], row[1], bytes);
        free(row[0]);
        free(row[1]);
        tiny_free(&t);
    }
}

static void refused(remora_model *m, const char *says)
{
    const remora_session_opts o = {.struct_size = sizeof o};
    remora_session *s;
    remora_error err = HOST_ERROR;
    assert_int_equal(remora_session_create(m, &o, &s, &err), REMORA_E_INTERNAL);
    if (strstr(err.message, "norm-copy") == NULL || strstr(err.message, says) == NULL)
        fail_msg("%s: no \"%s\"", err.message, says);
}

static void wrong_slots(void **state)
{
    uint32_t i = 0;
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    remora_model *m = open_model(&t);
    exchange(m);
    while (m->programs.ops[i].kind != RMR_OP_NORM_COPY) i++;
    rmr_op *const op = &m->programs.ops[i];
    const rmr_op was = *op;
    op->out.slot = RMR_SLOT_COUNT;
    refused(m, "slot");
    *op = was;
    op->in.slot = RMR_SLOT_H; /* which this norm makes */
    refused(m, "nothing has written");
    *op = was;
    op->n *= 2;
    refused(m, "columns");
    *op = was;
    op->w = NULL;
    refused(m, "weight");
    *op = was;
    remora_session_free(host_session(m, TOKENS, REMORA_KV_BF16));
    remora_model_free(m);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_same_numbers),
                                       cmocka_unit_test(wrong_slots)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
