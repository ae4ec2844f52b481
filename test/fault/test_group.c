/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out in a group of backends: allocation k fails, for all k. Always E_NOMEM, nothing
 * leaked, and what was there works on; so it does when a member fails. And what weights, buffers
 * and steps are said to take is what they take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aligned.h"
#include "cpu.h"
#include "group/group_backend.h"
#include "sweep.h"

enum { N = 45 };

static const group_opts three = {.n = 3, .part = {3, 1, 2}};

static remora_status make_runtime(tmem *mem, remora_runtime **out)
{
    const remora_runtime_opts o = host_runtime_opts(mem, 2);
    return group_runtime_create(&o, &three, out, NULL);
}

static remora_status open_model(remora_runtime *rt, const remora_source *src, remora_model **m)
{
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_IMPORTANCE};
    return remora_model_open(rt, src, &o, m, NULL);
}

static remora_status talk(remora_model *m, remora_session **s)
{
    const remora_session_opts o = {
        .struct_size = sizeof o, .kv_type = REMORA_KV_F32, .capacity = 64, .chunk = 32};
    remora_token ids[N];
    remora_status st = remora_session_create(m, &o, s, NULL);
    host_ids(ids, N, host_vocab(m), 1);
    if (st >= 0) st = remora_session_append(*s, ids, N, REMORA_WANT_ALL, NULL);
    return st >= 0 ? remora_eval(s, 1, NULL, NULL) : st;
}

static void runtimes(void **state)
{
    (void)state;
    for (long k = 1;; k++) {
        tmem mem = {0};
        remora_runtime *rt = NULL;
        sweep_arm(&mem, k, SWEEP_ONE);
        const remora_status st = make_runtime(&mem, &rt);
        const int hit = sweep_disarm(&mem);
        assert_int_equal(st, hit ? REMORA_E_NOMEM : REMORA_OK);
        remora_runtime_free(rt);
        assert_int_equal(atomic_load(&mem.bytes), 0);
        if (hit) continue;
        assert_true(k > 4);
        return;
    }
}

static void opening_on(const remora_source *src, int how)
{
    tmem mem = {0};
    remora_runtime *rt = NULL;
    assert_int_equal(make_runtime(&mem, &rt), REMORA_OK);
    const long before = atomic_load(&mem.blocks);
    int hit = 1;
    for (long k = 1; hit; k++) {
        remora_model *m = NULL;
        sweep_arm(&mem, k, how);
        const remora_status st = open_model(rt, src, &m);
        hit = sweep_disarm(&mem);
        assert_int_equal(st, hit ? REMORA_E_NOMEM : REMORA_OK);
        remora_model_free(m);
        assert_int_equal(atomic_load(&mem.blocks), before);
    }
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
}

static void opening(void **state)
{
    static const tiny_opts kinds[] = {{0}, {.dense = "llama"}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tiny t;
        tiny_make(&t, &kinds[i]);
        opening_on(&t.source, SWEEP_ONE);
        opening_on(&t.source, SWEEP_FROM);
        tiny_free(&t);
    }
}

static void talking(void **state)
{
    tiny t;
    tmem mem = {0};
    remora_runtime *rt = NULL;
    remora_model *m = NULL;
    int hit = 1;
    (void)state;
    tiny_make(&t, NULL);
    assert_int_equal(make_runtime(&mem, &rt), REMORA_OK);
    assert_int_equal(open_model(rt, &t.source, &m), REMORA_OK);
    remora_token ids[N];
    host_ids(ids, N, host_vocab(m), 1);
    remora_model *one = host_open(NULL, &t.source);
    float *rows = host_logits(one, ids, N);
    for (long k = 1; hit; k++) {
        remora_session *s = NULL;
        sweep_arm(&mem, k, SWEEP_ONE);
        const remora_status st = talk(m, &s);
        hit = sweep_disarm(&mem);
        assert_int_equal(st, hit ? REMORA_E_NOMEM : REMORA_OK);
        if (!hit) sweep_expect(s, rows, N, "a group", k);
        remora_session_free(s);
    }
    free(rows);
    remora_model_free(one);
    remora_model_free(m);
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
    tiny_free(&t);
}

/* ---- a member that fails ---- */

static atomic_long submits_left; /* of the failing member, before it fails once; below 0: never */
static rmr_backend_ops failing;
static const rmr_backend_ops *real;

static remora_status fail_once(rmr_backend *be, rmr_step *s, const rmr_slice *slice, rmr_halt *halt,
                               uint64_t *mark, remora_error *err)
{
    if (atomic_load(&submits_left) >= 0 && atomic_fetch_sub(&submits_left, 1) == 0)
        RMR_FAIL(err, REMORA_E_DEVICE, "the device does not answer");
    return real->step_submit(be, s, slice, halt, mark, err);
}

static remora_status make_failing(void *user, rmr_ctx *ctx, const char *isa, rmr_backend **out,
                                  remora_error *err)
{
    (void)user;
    RMR_TRY(rmr_cpu_create(ctx, isa, NULL, out, err));
    real = (*out)->ops;
    failing = *real;
    failing.step_submit = fail_once;
    (*out)->ops = &failing;
    return REMORA_OK;
}

/* A step that fails on one member has failed, and its tokens are evaluated again. */
static void a_member_fails(void **state)
{
    const group_opts g = {.n = 3, .member = {{NULL, NULL}, {make_failing, NULL}}};
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 2};
    remora_token ids[N];
    remora_runtime *rt = NULL;
    remora_model *m = NULL;
    long failures = 0;
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    assert_int_equal(group_runtime_create(&o, &g, &rt, NULL), REMORA_OK);
    atomic_store(&submits_left, -1);
    assert_int_equal(open_model(rt, &t.source, &m), REMORA_OK);
    host_ids(ids, N, host_vocab(m), 1);
    remora_model *one = host_open(NULL, &t.source);
    float *rows = host_logits(one, ids, N);
    for (int hit = 1; hit; failures += hit) {
        remora_session *s = NULL;
        atomic_store(&submits_left, failures);
        const remora_status st = talk(m, &s);
        hit = atomic_load(&submits_left) < 0;
        assert_int_equal(st, hit ? REMORA_E_DEVICE : REMORA_OK);
        atomic_store(&submits_left, -1);
        if (hit) assert_int_equal(remora_eval(&s, 1, NULL, NULL), REMORA_OK);
        sweep_expect(s, rows, N, "a group", failures);
        remora_session_free(s);
    }
    assert_true(failures > 20);
    free(rows);
    remora_model_free(one);
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&t);
}

/* Each slice has a mark, also one that fails and those behind it (backend.h, step_submit). */
static void marks_count_up(void **state)
{
    const group_opts g = {.n = 2, .member = {{NULL, NULL}, {make_failing, NULL}}};
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 1};
    static const rmr_slot slots[] = {{8, RMR_ROWS_ONE}};
    const rmr_op op = {.kind = RMR_OP_COUNTS_CLEAR, .counts = {0, 0}};
    const rmr_step_desc d = {&op, 1, slots, 1, 1, 1, 1, NULL};
    rmr_inputs in = {0};
    remora_runtime *rt = NULL;
    rmr_step *s = NULL;
    (void)state;
    atomic_store(&submits_left, 0);
    assert_int_equal(group_runtime_create(&o, &g, &rt, NULL), REMORA_OK);
    rmr_backend *be = rt->backends[0];
    unsigned char *block = aligned_new(64, (size_t)rmr_inputs_place(&in, NULL, 1, 1));
    rmr_inputs_place(&in, block, 1, 1);
    assert_int_equal(be->ops->step_create(be, &d, &s, NULL), REMORA_OK);
    assert_int_equal(be->ops->step_inputs(be, s, &in, NULL), REMORA_OK);
    for (uint64_t i = 1; i < 4; i++) {
        uint64_t mark = 0;
        assert_int_equal(be->ops->step_submit(be, s, &(rmr_slice){0, 1}, NULL, &mark, NULL),
                         REMORA_E_DEVICE);
        assert_int_equal(mark, i);
        assert_int_equal(be->ops->step_wait(be, s, mark, NULL), REMORA_E_DEVICE);
    }
    be->ops->step_free(be, s);
    aligned_delete(block);
    remora_runtime_free(rt);
}

/* ---- sizes ---- */

static uint64_t bytes_since(const tmem *mem, long long before)
{
    return (uint64_t)(atomic_load(&mem->bytes) - before);
}

static rmr_weight *weight(rmr_backend *be, const tmem *mem, rmr_weight_desc d)
{
    const long long before = atomic_load(&mem->bytes);
    rmr_weight *w = NULL;
    assert_int_equal(be->ops->weight_create(be, &d, &w, NULL), REMORA_OK);
    assert_int_equal(bytes_since(mem, before), be->ops->weight_bytes(be, &d, 0).host);
    return w;
}

/* The product of a table's rows with a matrix, normed: what is between is exchanged. */
static void step(rmr_backend *be, const tmem *mem, rmr_weight *table, rmr_weight *matrix,
                 rmr_weight *norm)
{
    static const rmr_slot slots[] = {{64, RMR_ROWS_ALL}, {40, RMR_ROWS_ALL}};
    const rmr_op ops[] = {
        {.kind = RMR_OP_EMBED, .out = {0, 0}, .w = table, .n = 64},
        {.kind = RMR_OP_LINEAR, .in = {0, 0}, .out = {1, 0}, .w = matrix, .n = 64, .n_out = 40},
        {.kind = RMR_OP_NORM, .in = {1, 0}, .out = {1, 0}, .w = norm, .n = 40}};
    const rmr_step_desc d = {.ops = ops,
                             .n_ops = 3,
                             .slots = slots,
                             .n_slots = 2,
                             .max_rows = 7,
                             .max_pages = 3,
                             .max_out = 2};
    const long long before = atomic_load(&mem->bytes);
    rmr_step *s = NULL;
    assert_int_equal(be->ops->step_create(be, &d, &s, NULL), REMORA_OK);
    assert_int_equal(bytes_since(mem, before), be->ops->step_bytes(be, &d).host);
    be->ops->step_free(be, s);
    assert_int_equal(bytes_since(mem, before), 0);
}

static void sizes(void **state)
{
    static const rmr_weight_desc experts = {RMR_USE_MATRIX,     RMR_ELEM_Q8_0, 5, 40, 64,
                                            {RMR_SHARE_ROWS, 1}},
                                 heads = {RMR_USE_MATRIX,         RMR_ELEM_BF16, 4, 24, 64,
                                          {RMR_SHARE_MATRICES, 1}},
                                 bias = {RMR_USE_VECTOR,     RMR_ELEM_F32, 1, 1, 40,
                                         {RMR_SHARE_ROWS, 1}};
    tmem mem = {0};
    remora_runtime *rt = NULL;
    rmr_buffer *b = NULL;
    (void)state;
    assert_int_equal(make_runtime(&mem, &rt), REMORA_OK);
    rmr_backend *be = rt->backends[0];
    rmr_weight *w[] = {
        weight(be, &mem, experts),
        weight(be, &mem, heads),
        weight(be, &mem, bias),
        weight(be, &mem, (rmr_weight_desc){RMR_USE_TABLE, RMR_ELEM_F32, 1, 9, 64, {0}}),
        weight(be, &mem,
               (rmr_weight_desc){RMR_USE_MATRIX, RMR_ELEM_F32, 1, 40, 64, {RMR_SHARE_ROWS, 1}}),
        weight(be, &mem, (rmr_weight_desc){RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, 40, {0}})};
    step(be, &mem, w[3], w[4], w[5]);
    const long long before = atomic_load(&mem.bytes);
    assert_int_equal(be->ops->buffer_create(be, 1000, &b, NULL), REMORA_OK);
    assert_int_equal(bytes_since(&mem, before), be->ops->buffer_bytes(be, 1000).host);
    be->ops->buffer_free(be, b);
    for (size_t i = 0; i < sizeof w / sizeof w[0]; i++) be->ops->weight_free(be, w[i]);
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtimes),       cmocka_unit_test(opening),
        cmocka_unit_test(talking),        cmocka_unit_test(a_member_fails),
        cmocka_unit_test(marks_count_up), cmocka_unit_test(sizes)};
    return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
