/* The guarded backend itself: that what it is there to find kills the process or is counted. */
#define _POSIX_C_SOURCE 200809L
#include "rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard_backend.h"
#include "host.h"
#include "program.h"

typedef struct bed {
    remora_runtime *rt;
    rmr_backend *be;
    rmr_buffer *buffer;
} bed;

static int make_bed(void **state)
{
    static bed b;
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 1};
    assert_int_equal(guard_runtime_create(&o, &b.rt, NULL), REMORA_OK);
    b.be = b.rt->backends[0];
    assert_int_equal(b.be->ops->buffer_create(b.be, 4096, &b.buffer, NULL), REMORA_OK);
    *state = &b;
    return 0;
}

static int unmake_bed(void **state)
{
    bed *b = *state;
    b->be->ops->buffer_free(b->be, b->buffer);
    remora_runtime_free(b->rt);
    return 0;
}

/* Does a process that runs f end well? Sanitizers turn the signal into an exit status: both are a
 * death. */
static int survives(void (*f)(bed *b), bed *b)
{
    const pid_t child = fork();
    int status = 0;
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        close(2);
        f(b);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void read_address(bed *b)
{
    const volatile char *p =
        (const volatile char *)(uintptr_t)b->be->ops->buffer_address(b->buffer);
    (void)*p;
}

static void write_address(bed *b)
{
    *(volatile char *)(uintptr_t)b->be->ops->buffer_address(b->buffer) = 1;
}

static void read_by_copy(bed *b)
{
    char byte;
    if (b->be->ops->buffer_zero(b->be, b->buffer, 0, 4096, NULL) < 0) _exit(1);
    if (b->be->ops->buffer_read(b->be, b->buffer, 4095, &byte, 1, NULL) < 0 || byte != 0) _exit(1);
}

static void device_addresses_are_deadly(void **state)
{
    assert_false(survives(read_address, *state));
    assert_false(survives(write_address, *state));
    assert_true(survives(read_by_copy, *state));
}

/* A step of one operation: out = rows of in. */
static void results_before_wait_are_stale(void **state)
{
    const bed *b = *state;
    rmr_backend *be = b->be;
    const rmr_backend_ops *ops = be->ops;
    static const rmr_weight_desc table = {RMR_USE_TABLE, RMR_ELEM_F32, 1, 2, 2, {0}};
    static const float rows[4] = {1, 2, 3, 4};
    static const rmr_slot slots[1] = {{2, RMR_ROWS_ALL}};
    static const rmr_area area = {0, 0, 2, 0, 1};
    rmr_weight *w = NULL;
    rmr_step *s = NULL;
    float got[2] = {0, 0};
    assert_int_equal(ops->weight_create(be, &table, &w, NULL), REMORA_OK);
    assert_int_equal(ops->weight_upload(be, w, 0, 0, 2, rows, NULL), REMORA_OK);
    assert_int_equal(ops->weight_done(be, w, NULL), REMORA_OK);
    const rmr_op op = {.kind = RMR_OP_EMBED, .w = w, .n = 2};
    const rmr_step_desc d = {&op, 1, slots, 1, 1, 1, 1, NULL};
    assert_int_equal(ops->step_create(be, &d, &s, NULL), REMORA_OK);
    uint64_t mark;
    rmr_inputs in = {.n_rows = 1, .n_runs = 1};
    static _Alignas(RMR_ALIGN) unsigned char block[1024];
    assert_true(rmr_inputs_place(&in, block, 1, 1) <= sizeof block);
    in.token[0] = 1;
    in.run[0] = (rmr_run){0, 1, 0, 0, RMR_FORM_ABSORBED, RMR_KV_F32};
    assert_int_equal(ops->step_inputs(be, s, &in, NULL), REMORA_OK);
    assert_int_equal(ops->step_submit(be, s, &(rmr_slice){0, 1}, &mark, NULL), REMORA_OK);
    assert_int_equal(ops->step_read(be, s, &area, got, NULL), REMORA_OK);
    assert_true(got[0] != 3 || got[1] != 4);
    assert_int_equal(guard_get_stats(b->rt).violations, 1);
    assert_int_equal(ops->step_wait(be, s, mark, NULL), REMORA_OK);
    assert_int_equal(ops->step_read(be, s, &area, got, NULL), REMORA_OK);
    assert_true(got[0] == 3 && got[1] == 4);
    assert_int_equal(guard_get_stats(b->rt).violations, 1);
    ops->step_free(be, s);
    ops->weight_free(be, w);
}

/* Two passes over different rows, both waiting when the first begins; the host's array is used
 * again at once. */
static void wanted_rows_of(rmr_backend *be)
{
    const rmr_backend_ops *ops = be->ops;
    static const rmr_weight_desc table = {RMR_USE_TABLE, RMR_ELEM_F32, 1, 3, 1, {0}};
    static const float rows[3] = {1, 2, 3};
    static const rmr_slot slots[3] = {{1, RMR_ROWS_ALL}, {1, RMR_ROWS_OUT}, {1, RMR_ROWS_OUT}};
    static _Alignas(RMR_ALIGN) unsigned char block[1024];
    rmr_weight *w = NULL;
    rmr_step *s = NULL;
    float first[2] = {0, 0}, second[2] = {0, 0};
    uint64_t mark;
    uint32_t want[3] = {2, 0, 1};
    assert_int_equal(ops->weight_create(be, &table, &w, NULL), REMORA_OK);
    assert_int_equal(ops->weight_upload(be, w, 0, 0, 3, rows, NULL), REMORA_OK);
    const rmr_op list[] = {
        {.kind = RMR_OP_EMBED, .w = w, .n = 1},
        {.kind = RMR_OP_PICK_ROWS, .rows = RMR_ROWS_OUT, .in = {0, 0}, .out = {1, 0}, .n = 1},
        {.kind = RMR_OP_PICK_ROWS, .rows = RMR_ROWS_OUT, .in = {0, 0}, .out = {2, 0}, .n = 1}};
    const rmr_step_desc d = {list, 3, slots, 3, 3, 1, 2, NULL};
    rmr_inputs in = {.n_rows = 3, .n_runs = 1};
    assert_true(rmr_inputs_place(&in, block, 3, 1) <= sizeof block);
    for (int i = 0; i < 3; i++) in.token[i] = i;
    in.run[0] = (rmr_run){0, 3, 0, 0, RMR_FORM_ABSORBED, RMR_KV_F32};
    assert_int_equal(ops->step_create(be, &d, &s, NULL), REMORA_OK);
    assert_int_equal(ops->step_inputs(be, s, &in, NULL), REMORA_OK);
    assert_int_equal(ops->step_want(be, s, want, 3, NULL), REMORA_E_INTERNAL);
    assert_int_equal(ops->step_want(be, s, (uint32_t[]){3}, 1, NULL), REMORA_E_INTERNAL);
    assert_int_equal(ops->step_submit(be, s, &(rmr_slice){0, 1}, &mark, NULL), REMORA_OK);
    assert_int_equal(ops->step_want(be, s, want, 2, NULL), REMORA_OK);
    assert_int_equal(ops->step_submit(be, s, &(rmr_slice){1, 1}, &mark, NULL), REMORA_OK);
    want[0] = 1;
    assert_int_equal(ops->step_want(be, s, want, 1, NULL), REMORA_OK);
    want[0] = 0;
    assert_int_equal(ops->step_submit(be, s, &(rmr_slice){2, 1}, &mark, NULL), REMORA_OK);
    assert_int_equal(ops->step_wait(be, s, mark, NULL), REMORA_OK);
    assert_int_equal(ops->step_read(be, s, &(rmr_area){1, 0, 1, 0, 2}, first, NULL), REMORA_OK);
    assert_int_equal(ops->step_read(be, s, &(rmr_area){2, 0, 1, 0, 1}, second, NULL), REMORA_OK);
    assert_true(first[0] == 3 && first[1] == 1 && second[0] == 2);
    ops->step_free(be, s);
    ops->weight_free(be, w);
}

static void wanted_rows_are_ordered(void **state)
{
    const bed *b = *state;
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    wanted_rows_of(rt->backends[0]);
    wanted_rows_of(b->be);
    assert_int_equal(guard_get_stats(b->rt).violations, 0);
    remora_runtime_free(rt);
}

/* Nothing of a pack is used where it lies, and its logits are those of the CPU. */
static const char *pack;

static void a_pack_is_filled(void **state)
{
    const bed *b = *state;
    const remora_source src = host_path_source(pack);
    remora_token ids[20];
    remora_model *there = host_open(b->rt, &src), *here = host_open(NULL, &src);
    remora_memory mem = {.struct_size = sizeof mem};
    host_ids(ids, 20, host_vocab(here), 1);
    float *got = host_logits(there, ids, 20), *expect = host_logits(here, ids, 20);
    assert_memory_equal(got, expect, 20 * host_vocab(here) * sizeof *got);
    assert_int_equal(remora_model_get_memory(there, &mem), REMORA_OK);
    assert_int_equal(mem.host_mapped, 0);
    assert_int_equal(remora_model_get_memory(here, &mem), REMORA_OK);
    assert_true(mem.host_mapped > 0);
    assert_int_equal(guard_get_stats(b->rt).violations, 0);
    free(got);
    free(expect);
    remora_model_free(there);
    remora_model_free(here);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pack_is_filled, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(device_addresses_are_deadly, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(results_before_wait_are_stale, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(wanted_rows_are_ordered, make_bed, unmake_bed),
    };
    if (argc != 2) return 2;
    pack = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
