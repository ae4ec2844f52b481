/* SPDX-License-Identifier: Apache-2.0 */
/* The guarded backend itself: that what it is there to find kills the process or is counted. */
#define _POSIX_C_SOURCE 200809L
#include "rig.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "host.h"
#include "model.h"
#include "tiny.h"

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

/* ---- a step of one operation: rows of a table ---- */

typedef struct lookup {
    rmr_backend *be;
    rmr_weight *table;
    rmr_op op;
    rmr_step *step;
    uint64_t mark;
} lookup;

static const rmr_weight_desc table_of_2 = {RMR_USE_TABLE, RMR_ELEM_F32, 1, 2, 2, {0}};
static const float numbers[4] = {1, 2, 3, 4};
static const rmr_slot slot_of_2[1] = {{2, RMR_ROWS_ALL}};

static remora_status make_step(lookup *l)
{
    l->op = (rmr_op){.kind = RMR_OP_EMBED, .w = l->table, .n = 2};
    const rmr_step_desc d = {&l->op, 1, slot_of_2, 1, 1, 1, 1, NULL};
    return l->be->ops->step_create(l->be, &d, &l->step, NULL);
}

static lookup *lookup_make(const bed *b)
{
    lookup *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->be = b->be;
    assert_int_equal(b->be->ops->weight_create(b->be, &table_of_2, &l->table, NULL), REMORA_OK);
    assert_int_equal(b->be->ops->weight_upload(b->be, l->table, 0, 0, 2, numbers, NULL), REMORA_OK);
    assert_int_equal(b->be->ops->weight_done(b->be, l->table, NULL), REMORA_OK);
    assert_int_equal(make_step(l), REMORA_OK);
    return l;
}

static void lookup_free(lookup *l)
{
    l->be->ops->step_free(l->be, l->step);
    l->be->ops->weight_free(l->be, l->table);
    free(l);
}

/* Submit a lookup of a token whose page lies in a buffer (NULL: no page). */
static void lookup_submit(lookup *l, int32_t token, const rmr_buffer *page)
{
    static _Alignas(RMR_ALIGN) unsigned char block[1024];
    rmr_inputs in = {.n_rows = 1, .n_runs = 1, .n_pages = page != NULL};
    assert_true(rmr_inputs_place(&in, block, 1, 1) <= sizeof block);
    in.token[0] = token;
    in.pos[0] = 0;
    in.run[0] = (rmr_run){0, 1, 0, 0, RMR_FORM_ABSORBED, RMR_KV_F32};
    if (page != NULL) in.page[0] = l->be->ops->buffer_address(page);
    assert_int_equal(l->be->ops->step_inputs(l->be, l->step, &in, NULL), REMORA_OK);
    assert_int_equal(
        l->be->ops->step_submit(l->be, l->step, &(rmr_slice){0, 1}, NULL, &l->mark, NULL),
        REMORA_OK);
}

static remora_status lookup_wait(const lookup *l)
{
    return l->be->ops->step_wait(l->be, l->step, l->mark, NULL);
}

/* Is the result row `row` of the table? */
static int lookup_is(const lookup *l, int row)
{
    static const rmr_area area = {0, 0, 2, 0, 1};
    float got[2] = {0, 0};
    assert_int_equal(l->be->ops->step_read(l->be, l->step, &area, got, NULL), REMORA_OK);
    return memcmp(got, numbers + (ptrdiff_t)row * 2, sizeof got) == 0;
}

static void results_before_wait_are_stale(void **state)
{
    const bed *b = *state;
    lookup *l = lookup_make(b);
    lookup_submit(l, 1, NULL);
    assert_false(lookup_is(l, 1));
    assert_int_equal(guard_get_stats(b->rt).violations, 1);
    assert_int_equal(lookup_wait(l), REMORA_OK);
    assert_true(lookup_is(l, 1));
    assert_int_equal(guard_get_stats(b->rt).violations, 1);
    assert_int_equal(guard_get_stats(b->rt).unpinned, 2);
    lookup_free(l);
}

/* ---- the order of buffers ---- */

static unsigned long ops(const bed *b)
{
    return guard_get_stats(b->rt).ops;
}

static unsigned long waiting(const bed *b)
{
    return guard_get_stats(b->rt).waiting;
}

static rmr_buffer *new_buffer(const bed *b)
{
    rmr_buffer *p = NULL;
    assert_int_equal(b->be->ops->buffer_create(b->be, 64, &p, NULL), REMORA_OK);
    return p;
}

static uint64_t read_word(const bed *b, const rmr_buffer *p)
{
    uint64_t word = 0;
    assert_int_equal(b->be->ops->buffer_read(b->be, p, 8, &word, sizeof word, NULL), REMORA_OK);
    return word;
}

/* What a buffer function depends on has run when it is done, and nothing else. */
static void buffers_are_ordered_by_buffer(void **state)
{
    const bed *b = *state;
    const rmr_backend_ops *f = b->be->ops;
    lookup *l[2] = {lookup_make(b), lookup_make(b)};
    rmr_buffer *p[3] = {new_buffer(b), new_buffer(b), new_buffer(b)};
    const uint64_t word = 0x1122334455667788;
    for (int i = 0; i < 2; i++) lookup_submit(l[i], i, p[i]);
    assert_int_equal(f->buffer_write(b->be, p[2], 8, &word, sizeof word, NULL), REMORA_OK);
    assert_true(ops(b) == 0 && waiting(b) == 2); /* a buffer of neither step */
    assert_int_equal(f->buffer_copy(b->be, p[0], 8, p[2], 8, sizeof word, NULL), REMORA_OK);
    assert_true(ops(b) == 0 && waiting(b) == 3); /* a copy need not wait */
    assert_true(read_word(b, p[0]) == word);
    assert_true(ops(b) == 1 && waiting(b) == 1); /* the copy ran behind the first step */
    assert_int_equal(f->buffer_zero(b->be, p[1], 0, 64, NULL), REMORA_OK);
    assert_int_equal(f->buffer_copy(b->be, p[2], 0, p[1], 0, 64, NULL), REMORA_OK);
    assert_true(ops(b) == 1 && waiting(b) == 3);
    assert_true(read_word(b, p[2]) == 0); /* the copy behind the zeros behind the other step */
    assert_true(ops(b) == 2 && waiting(b) == 0);
    lookup_submit(l[0], 0, p[0]);
    assert_int_equal(f->buffer_write(b->be, p[0], 8, &word, sizeof word, NULL), REMORA_OK);
    assert_true(ops(b) == 3 && waiting(b) == 0);
    GUARD_IS_CLEAN(b->rt);
    for (int i = 0; i < 2; i++) lookup_free(l[i]);
    for (int i = 0; i < 3; i++) f->buffer_free(b->be, p[i]);
    assert_int_equal(guard_get_stats(b->rt).live, 4096); /* the bed's buffer */
}

/* A slice comes behind the copies into the buffers that its step uses. */
static void slices_follow_the_buffers_they_use(void **state)
{
    const bed *b = *state;
    lookup *l[2] = {lookup_make(b), lookup_make(b)};
    rmr_buffer *p[2] = {new_buffer(b), new_buffer(b)};
    for (int i = 0; i < 2; i++)
        assert_int_equal(b->be->ops->buffer_zero(b->be, p[i], 0, 64, NULL), REMORA_OK);
    for (int i = 0; i < 2; i++) lookup_submit(l[i], i, p[i]);
    assert_int_equal(waiting(b), 4);
    assert_int_equal(lookup_wait(l[1]), REMORA_OK);
    assert_true(lookup_is(l[1], 1));
    assert_true(ops(b) == 1 && waiting(b) == 2);
    assert_int_equal(lookup_wait(l[0]), REMORA_OK);
    assert_int_equal(waiting(b), 0);
    GUARD_IS_CLEAN(b->rt);
    for (int i = 0; i < 2; i++) lookup_submit(l[i], i, p[i]);
    b->be->ops->buffer_free(b->be, p[0]); /* in use */
    assert_int_equal(guard_get_stats(b->rt).violations, 1);
    lookup_free(l[0]); /* with a slice that waits */
    assert_int_equal(guard_get_stats(b->rt).violations, 2);
    assert_int_equal(lookup_wait(l[1]), REMORA_OK);
    assert_int_equal(guard_get_stats(b->rt).violations, 2);
    lookup_free(l[1]);
    b->be->ops->buffer_free(b->be, p[1]);
}

/* ---- weights ---- */

static void weights_are_done_once(void **state)
{
    const bed *b = *state;
    const rmr_backend_ops *f = b->be->ops;
    lookup l = {.be = b->be};
    uint64_t mark;
    assert_int_equal(f->weight_create(b->be, &table_of_2, &l.table, NULL), REMORA_OK);
    assert_int_equal(f->weight_done(b->be, l.table, NULL), REMORA_E_INTERNAL); /* nothing came */
    assert_int_equal(f->weight_upload(b->be, l.table, 0, 0, 1, numbers, NULL), REMORA_OK);
    assert_int_equal(f->weight_done(b->be, l.table, NULL), REMORA_E_INTERNAL); /* half of it */
    assert_int_equal(f->weight_fill(b->be, l.table, 0, 8, numbers, NULL), REMORA_E_INTERNAL);
    assert_int_equal(guard_get_stats(b->rt).violations, 3);
    assert_int_equal(make_step(&l), REMORA_OK); /* it is not done */
    assert_int_equal(guard_get_stats(b->rt).violations, 4);
    assert_int_equal(f->step_submit(b->be, l.step, &(rmr_slice){0, 1}, NULL, &mark, NULL),
                     REMORA_OK);
    assert_int_equal(f->step_wait(b->be, l.step, mark, NULL), REMORA_OK);
    assert_int_equal(guard_get_stats(b->rt).violations, 5); /* it did nothing */
    f->step_free(b->be, l.step);
    f->weight_free(b->be, l.table);
    assert_int_equal(f->weight_create(b->be, &table_of_2, &l.table, NULL), REMORA_OK);
    assert_int_equal(f->weight_fill(b->be, l.table, 0, sizeof numbers, numbers, NULL), REMORA_OK);
    assert_int_equal(f->weight_done(b->be, l.table, NULL), REMORA_OK);
    assert_int_equal(guard_get_stats(b->rt).violations, 5);
    assert_int_equal(f->weight_done(b->be, l.table, NULL), REMORA_E_INTERNAL);
    assert_int_equal(f->weight_fill(b->be, l.table, 0, 8, numbers, NULL), REMORA_E_INTERNAL);
    assert_int_equal(guard_get_stats(b->rt).violations, 7);
    f->weight_free(b->be, l.table);
}

/* A number beside a weight is written while an operation runs. */
static void write_beside(void *user, const guard_seen *seen)
{
    const guard_weight *w = user;
    (void)seen;
    w->block[0] = 0;
}

static void red_zones_are_looked_at(void **state)
{
    const bed *b = *state;
    lookup *l = lookup_make(b);
    guard_set_tap(b->rt, write_beside, l->table);
    GUARD_IS_CLEAN(b->rt);
    lookup_submit(l, 0, NULL);
    assert_int_equal(lookup_wait(l), REMORA_OK);
    guard_set_tap(b->rt, NULL, NULL);
    assert_string_equal(guard_complaint(b->rt), "something was written beside a weight");
    lookup_free(l);
}

/* ---- bytes ---- */

/* What a model and a session say that they take of the device is what they take. */
static void device_bytes_are_exact(void **state)
{
    static const tiny_opts kinds[] = {{0}, {.dense = "qwen2"}};
    const bed *b = *state;
    for (size_t i = 0; i < 2; i++) {
        tiny t;
        tiny_make(&t, &kinds[i]);
        remora_model *m = host_open(b->rt, &t.source);
        remora_session *s = host_session(m, 100, REMORA_KV_BF16);
        rmr_bytes sum = {0, 4096}; /* the bed's buffer */
        const rmr_bytes parts[] = {m->weights.weight_bytes, m->weights.constant_bytes,
                                   m->routing_bytes, rmr_pages_bytes(&m->pages),
                                   rmr_contexts_bytes(m)};
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++)
            assert_true(rmr_bytes_add(&sum, parts[k]));
        assert_int_equal(guard_get_stats(b->rt).live, sum.device);
        remora_session_free(s);
        remora_model_free(m);
        assert_int_equal(guard_get_stats(b->rt).live, 4096);
        tiny_free(&t);
    }
}

/* ---- wanted rows ---- */

/* Two passes over different rows, both waiting when the first begins; the host's array is used
 * again at once. */
static void wanted_rows_of(rmr_backend *be)
{
    const rmr_backend_ops *f = be->ops;
    static const rmr_weight_desc table = {RMR_USE_TABLE, RMR_ELEM_F32, 1, 3, 1, {0}};
    static const float rows[3] = {1, 2, 3};
    static const rmr_slot slots[3] = {{1, RMR_ROWS_ALL}, {1, RMR_ROWS_OUT}, {1, RMR_ROWS_OUT}};
    static _Alignas(RMR_ALIGN) unsigned char block[1024];
    rmr_weight *w = NULL;
    rmr_step *s = NULL;
    float first[2] = {0, 0}, second[2] = {0, 0};
    uint64_t mark;
    uint32_t want[3] = {2, 0, 1};
    assert_int_equal(f->weight_create(be, &table, &w, NULL), REMORA_OK);
    assert_int_equal(f->weight_upload(be, w, 0, 0, 3, rows, NULL), REMORA_OK);
    assert_int_equal(f->weight_done(be, w, NULL), REMORA_OK);
    const rmr_op list[] = {
        {.kind = RMR_OP_EMBED, .w = w, .n = 1},
        {.kind = RMR_OP_PICK_ROWS, .rows = RMR_ROWS_OUT, .in = {0, 0}, .out = {1, 0}, .n = 1},
        {.kind = RMR_OP_PICK_ROWS, .rows = RMR_ROWS_OUT, .in = {0, 0}, .out = {2, 0}, .n = 1}};
    const rmr_step_desc d = {list, 3, slots, 3, 3, 1, 2, NULL};
    rmr_inputs in = {.n_rows = 3, .n_runs = 1};
    assert_true(rmr_inputs_place(&in, block, 3, 1) <= sizeof block);
    for (int i = 0; i < 3; i++) in.token[i] = i;
    in.run[0] = (rmr_run){0, 3, 0, 0, RMR_FORM_ABSORBED, RMR_KV_F32};
    assert_int_equal(f->step_create(be, &d, &s, NULL), REMORA_OK);
    assert_int_equal(f->step_inputs(be, s, &in, NULL), REMORA_OK);
    assert_int_equal(f->step_want(be, s, want, 3, NULL), REMORA_E_INTERNAL);
    assert_int_equal(f->step_want(be, s, (uint32_t[]){3}, 1, NULL), REMORA_E_INTERNAL);
    assert_int_equal(f->step_submit(be, s, &(rmr_slice){0, 1}, NULL, &mark, NULL), REMORA_OK);
    assert_int_equal(f->step_want(be, s, want, 2, NULL), REMORA_OK);
    assert_int_equal(f->step_submit(be, s, &(rmr_slice){1, 1}, NULL, &mark, NULL), REMORA_OK);
    want[0] = 1;
    assert_int_equal(f->step_want(be, s, want, 1, NULL), REMORA_OK);
    want[0] = 0;
    assert_int_equal(f->step_submit(be, s, &(rmr_slice){2, 1}, NULL, &mark, NULL), REMORA_OK);
    assert_int_equal(f->step_wait(be, s, mark, NULL), REMORA_OK);
    assert_int_equal(f->step_read(be, s, &(rmr_area){1, 0, 1, 0, 2}, first, NULL), REMORA_OK);
    assert_int_equal(f->step_read(be, s, &(rmr_area){2, 0, 1, 0, 1}, second, NULL), REMORA_OK);
    assert_true(first[0] == 3 && first[1] == 1 && second[0] == 2);
    f->step_free(be, s);
    f->weight_free(be, w);
}

static void wanted_rows_are_ordered(void **state)
{
    const bed *b = *state;
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    wanted_rows_of(rt->backends[0]);
    wanted_rows_of(b->be);
    GUARD_IS_CLEAN(b->rt);
    remora_runtime_free(rt);
}

/* Nothing of a pack is used where it lies, and its logits are those of the CPU. */
static const char *pack;

/* A prompt, pieces of it in a fork, and what comes after a trim, all rows of logits in one block.
 */
enum { PROMPT = 70, PIECE = 7, PACK_ROWS = PROMPT + 2 * PIECE };

static void evaluate(remora_session *s, const remora_token *ids, size_t n, float *out, size_t width)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_append(s, ids, n, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    float *rows = host_rows(s, (uint32_t)n);
    memcpy(out, rows, n * width * sizeof *out);
    free(rows);
}

static float *pack_rows(remora_model *m, int32_t kv_type)
{
    const size_t width = host_vocab(m);
    remora_token ids[PACK_ROWS];
    float *out = malloc(PACK_ROWS * width * sizeof *out);
    remora_session *s = host_session(m, 128, kv_type), *f = NULL;
    assert_non_null(out);
    host_ids(ids, PACK_ROWS, host_vocab(m), 1);
    evaluate(s, ids, PROMPT, out, width);
    assert_int_equal(remora_session_fork(s, &f, NULL), REMORA_OK);
    evaluate(f, ids + PROMPT, PIECE, out + PROMPT * width, width);
    assert_int_equal(remora_session_trim(s, 40, NULL), REMORA_OK); /* into what the fork shares */
    evaluate(s, ids + PROMPT + PIECE, PIECE, out + (PROMPT + PIECE) * width, width);
    remora_session_free(f);
    remora_session_free(s);
    return out;
}

static void a_pack_is_filled(void **state)
{
    static const int32_t types[] = {REMORA_KV_BF16, REMORA_KV_F32, REMORA_KV_INT8};
    const bed *b = *state;
    const remora_source src = host_path_source(pack);
    remora_model *there = host_open(b->rt, &src), *here = host_open(NULL, &src);
    remora_memory mem = {.struct_size = sizeof mem};
    for (int i = 0; i < 3; i++) {
        float *got = pack_rows(there, types[i]), *expect = pack_rows(here, types[i]);
        assert_memory_equal(got, expect, PACK_ROWS * host_vocab(here) * sizeof *got);
        free(got);
        free(expect);
    }
    assert_int_equal(remora_model_get_memory(there, &mem, NULL), REMORA_OK);
    assert_int_equal(mem.host_mapped, 0);
    assert_int_equal(remora_model_get_memory(here, &mem, NULL), REMORA_OK);
    assert_true(mem.host_mapped > 0);
    GUARD_IS_CLEAN(b->rt);
    assert_int_equal(guard_get_stats(b->rt).unpinned, 0);
    remora_model_free(there);
    remora_model_free(here);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pack_is_filled, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(device_addresses_are_deadly, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(results_before_wait_are_stale, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(buffers_are_ordered_by_buffer, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(slices_follow_the_buffers_they_use, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(weights_are_done_once, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(red_zones_are_looked_at, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(device_bytes_are_exact, make_bed, unmake_bed),
        cmocka_unit_test_setup_teardown(wanted_rows_are_ordered, make_bed, unmake_bed),
    };
    if (argc != 2) return 2;
    pack = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
