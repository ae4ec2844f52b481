/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA backend with a driver whose k-th call fails, for all k. After an error that a driver
 * keeps every later call fails and nothing of the host's memory is lost. Where there is no memory
 * left everything is given back, and the backend goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cuda.h"
#include "emulated_driver.h"
#include "half.h"

enum { ROWS = 5, K = 64, N = 20, PAGE = 4096 };

/* All that work makes. */
typedef struct things {
    rmr_weight *table, *matrix;
    rmr_buffer *from, *to;
    rmr_op op[3];
    rmr_step *step;
    unsigned char *block;
} things;

static remora_status fill_weights(rmr_backend *be, things *t, remora_error *err)
{
    static const rmr_weight_desc table = {RMR_USE_TABLE,      RMR_ELEM_F32, 1, ROWS, K,
                                          {RMR_SHARE_NONE, 1}},
                                 matrix = {RMR_USE_MATRIX,     RMR_ELEM_F16, 1, N, K,
                                           {RMR_SHARE_NONE, 1}};
    static float x[ROWS * K];
    static uint16_t w[N * K];
    for (int i = 0; i < ROWS * K; i++) x[i] = (float)(i / K + 1);
    for (int i = 0; i < N * K; i++) w[i] = rmr_f32_to_f16((float)(i / K) / 64);
    RMR_TRY(be->ops->weight_create(be, &table, &t->table, err));
    RMR_TRY(be->ops->weight_upload(be, t->table, 0, 0, ROWS, x, err));
    RMR_TRY(be->ops->weight_done(be, t->table, err));
    RMR_TRY(be->ops->weight_create(be, &matrix, &t->matrix, err));
    RMR_TRY(be->ops->weight_upload(be, t->matrix, 0, 0, N, w, err));
    return be->ops->weight_done(be, t->matrix, err);
}

static remora_status use_buffers(rmr_backend *be, things *t, remora_error *err)
{
    static unsigned char bytes[PAGE];
    RMR_TRY(be->ops->buffer_create(be, PAGE, &t->from, err));
    RMR_TRY(be->ops->buffer_create(be, PAGE, &t->to, err));
    memset(bytes, 7, sizeof bytes);
    RMR_TRY(be->ops->buffer_write(be, t->from, 0, bytes, PAGE, err));
    RMR_TRY(be->ops->buffer_zero(be, t->from, 16, 16, err));
    RMR_TRY(be->ops->buffer_copy(be, t->to, 0, t->from, 0, PAGE, err));
    RMR_TRY(be->ops->counters_read(be, t->to, 0, (uint64_t *)(void *)bytes, 4, 1, err));
    assert_int_equal(bytes[15], 7);
    assert_int_equal(bytes[16], 0);
    RMR_TRY(be->ops->buffer_read(be, t->to, 0, bytes, PAGE, err));
    assert_int_equal(bytes[31], 0);
    assert_int_equal(bytes[32], 7);
    return REMORA_OK;
}

static remora_status make_step(rmr_backend *be, things *t, remora_error *err)
{
    static const rmr_slot slots[] = {{K, RMR_ROWS_ALL}, {N, RMR_ROWS_ALL}, {N, RMR_ROWS_OUT}};
    const rmr_step_desc d = {t->op, 3, slots, 3, ROWS, 1, 1, NULL};
    rmr_inputs in = {.n_rows = ROWS, .n_runs = 1};
    t->op[0] = (rmr_op){.kind = RMR_OP_EMBED, .out = {0, 0}, .n = K, .w = t->table};
    t->op[1] = (rmr_op){.kind = RMR_OP_LINEAR, .in = {0, 0}, .out = {1, 0}, .n = K, .w = t->matrix};
    t->op[2] = (rmr_op){
        .kind = RMR_OP_PICK_ROWS, .rows = RMR_ROWS_OUT, .in = {1, 0}, .out = {2, 0}, .n = N};
    RMR_TRY(be->ops->step_create(be, &d, &t->step, err));
    t->block = aligned_alloc(64, (size_t)rmr_inputs_place(&in, NULL, ROWS, 1));
    rmr_inputs_place(&in, t->block, ROWS, 1);
    for (uint32_t i = 0; i < ROWS; i++) {
        in.token[i] = (int32_t)i;
        in.pos[i] = i;
    }
    in.run[0] = (rmr_run){0, ROWS, 0, 0, RMR_FORM_ABSORBED, RMR_KV_BF16};
    return be->ops->step_inputs(be, t->step, &in, err);
}

/* The last column of row 2 is its largest. */
static remora_status find_best(rmr_backend *be, things *t, remora_error *err)
{
    const rmr_best_wish wish = {4, 0};
    rmr_best b;
    int seen = 0;
    RMR_TRY(be->ops->step_best(be, t->step, 2, 0, &wish, &b, err));
    for (uint32_t i = 0; i < b.n; i++)
        seen += b.col[i] == N - 1 && b.value[i] == (float)(3 * (N - 1));
    assert_int_equal(seen, 1);
    assert_true(b.rest < (float)(3 * (N - 1)));
    rmr_masses m;
    RMR_TRY(be->ops->step_masses(be, t->step, 2, 0, 2, &m, err));
    assert_true(m.top[0] == (float)(3 * (N - 1)) / 2 && m.mass[0] > 1 && m.mass[0] < 2);
    assert_int_equal(be->ops->step_masses(be, t->step, 1, 0, 2, &m, NULL), REMORA_E_INTERNAL);
    assert_int_equal(be->ops->step_best(be, t->step, 1, 0, &wish, &b, NULL), REMORA_E_INTERNAL);
    assert_int_equal(be->ops->step_best(be, t->step, 2, 1, &wish, &b, NULL), REMORA_E_INTERNAL);
    assert_int_equal(be->ops->step_best(be, t->step, 3, 0, &wish, &b, NULL), REMORA_E_INTERNAL);
    return REMORA_OK;
}

static remora_status run_step(rmr_backend *be, things *t, remora_error *err)
{
    uint64_t mark = 0;
    float y[ROWS * N];
    RMR_TRY(make_step(be, t, err));
    RMR_TRY(be->ops->step_want(be, t->step, (uint32_t[]){2}, 1, err));
    RMR_TRY(be->ops->step_submit(be, t->step, &(rmr_slice){0, 3}, NULL, &mark, err));
    assert_int_equal(mark, 1);
    RMR_TRY(be->ops->step_wait(be, t->step, mark, err));
    RMR_TRY(be->ops->step_read(be, t->step, &(rmr_area){1, 0, N, 0, ROWS}, y, err));
    for (int i = 0; i < ROWS * N; i++)
        assert_true(y[i] == (float)((i / N + 1) * (i % N))); /* all of it is exact */
    return find_best(be, t, err);
}

static void free_things(rmr_backend *be, things *t)
{
    be->ops->step_free(be, t->step);
    be->ops->buffer_free(be, t->from);
    be->ops->buffer_free(be, t->to);
    be->ops->weight_free(be, t->table);
    be->ops->weight_free(be, t->matrix);
    free(t->block);
}

static remora_status work(rmr_backend *be, remora_error *err)
{
    things t = {0};
    remora_status s = fill_weights(be, &t, err);
    if (s >= 0) s = use_buffers(be, &t, err);
    if (s >= 0) s = run_step(be, &t, err);
    free_things(be, &t);
    return s;
}

static rmr_ctx ctx;
static rmr_cuda_options asked; /* of the backend that is made */
static rmr_cu_driver driver;

static remora_status make(rmr_backend **be, remora_error *err)
{
    driver = emulated_driver();
    asked.image = "";
    asked.driver = &driver;
    *err = (remora_error){.struct_size = sizeof *err};
    return rmr_cuda_create(&ctx, &asked, be, err);
}

static void fail_every_call_once(void)
{
    long calls = 0;
    for (long k = -1; k < calls || k < 0; k++) {
        remora_error err;
        rmr_backend *be;
        emulated.calls = 0;
        emulated.fail_after = k;
        remora_status s = make(&be, &err);
        if (s >= 0) s = work(be, &err);
        if (k < 0) calls = emulated.calls;
        if (be != NULL && s < 0) assert_true(work(be, NULL) < 0);
        if (be != NULL) be->ops->free(be);
        if (k < 0) assert_int_equal(emulated.blocks_in_use, 0);
        emulated_reset(); /* what a poisoned device has is left to it */
        assert_int_equal(atomic_load(&ctx.mem.bytes), 0);
        if (k < 0) assert_int_equal(s, REMORA_OK);
        if (s < 0) assert_true(s == REMORA_E_DEVICE || s == REMORA_E_UNSUPPORTED);
        if (s < 0) assert_true(err.message[0] != 0);
    }
    emulated.fail_after = -1;
    assert_true(calls > 100);
}

static const rmr_cuda_options ways[] = {
    {0}, {.own_context = 1, .priority = RMR_CUDA_PRIORITY_LOW}, {.sms = 2}};

static void every_call_fails_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        asked = ways[i];
        fail_every_call_once();
    }
    asked = ways[0];
}

/* A driver for an older CUDA lacks functions of green contexts: nobody misses them who does not ask
 * for multiprocessors. */
static void older_drivers_have_no_green_contexts(void **state)
{
    remora_device d;
    (void)state;
    for (int sms = 0; sms < 4; sms += 2) {
        remora_error err = {.struct_size = sizeof err};
        rmr_backend *be;
        asked = (rmr_cuda_options){.sms = sms, .image = "", .driver = &driver};
        driver = emulated_driver();
        driver.green_stream = NULL;
        assert_int_equal(rmr_cuda_create(&ctx, &asked, &be, &err), REMORA_OK);
        memset(&d, 0, sizeof d);
        rmr_cuda_describe(be, &d);
        assert_int_equal(d.usable, sms == 0 ? REMORA_OK : REMORA_E_UNSUPPORTED);
        if (sms > 0) assert_non_null(strstr(d.reason, "no green contexts"));
        assert_int_equal(work(be, NULL), d.usable);
        be->ops->free(be);
    }
    asked = ways[0];
    assert_int_equal(emulated.blocks_in_use, 0);
    assert_int_equal(atomic_load(&ctx.mem.bytes), 0);
}

static void memory_runs_out(void **state)
{
    remora_error err;
    rmr_backend *be;
    remora_status s = REMORA_E_DEVICE_MEM;
    (void)state;
    for (long k = 0; s < 0; k++) {
        emulated.memory_after = k;
        s = make(&be, &err);
        if (s >= 0) s = work(be, &err);
        emulated.memory_after = -1;
        assert_true(s == REMORA_OK || s == REMORA_E_DEVICE_MEM);
        if (be != NULL) {
            assert_int_equal(work(be, NULL), REMORA_OK);
            be->ops->free(be);
        }
        assert_int_equal(emulated.blocks_in_use, 0);
        assert_int_equal(atomic_load(&ctx.mem.bytes), 0);
    }
}

/* Each slice has a mark, also one that fails and those behind it (backend.h, step_submit). */
static void marks_count_up(void **state)
{
    remora_error err;
    rmr_backend *be;
    things t = {0};
    (void)state;
    assert_int_equal(make(&be, &err), REMORA_OK);
    assert_int_equal(fill_weights(be, &t, &err), REMORA_OK);
    assert_int_equal(make_step(be, &t, &err), REMORA_OK);
    emulated.calls = 0;
    emulated.fail_after = 1; /* the context becomes current, and no more */
    for (uint64_t i = 1; i < 4; i++) {
        uint64_t mark = 0;
        assert_int_equal(be->ops->step_submit(be, t.step, &(rmr_slice){0, 2}, NULL, &mark, &err),
                         REMORA_E_DEVICE);
        assert_int_equal(mark, i);
        assert_int_equal(be->ops->step_wait(be, t.step, mark, &err), REMORA_E_DEVICE);
    }
    free_things(be, &t);
    be->ops->free(be);
    emulated.fail_after = -1;
    emulated_reset();
    assert_int_equal(atomic_load(&ctx.mem.bytes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_fails_once),
        cmocka_unit_test(older_drivers_have_no_green_contexts),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(marks_count_up),
    };
    rmr_mem_init(&ctx.mem);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
