/* SPDX-License-Identifier: Apache-2.0 */
/* P25, of samplers, ceilings and opening: what a child of fork() can do with them when another
 * thread was in the middle of it. Sessions are in test_p25.c. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "gate.h"
#include "host.h"
#include "seed_gate.h"
#include "tiny.h"

/* ---- opening ---- */

static void *open_one(void *source)
{
    remora_model_free(host_open(NULL, source));
    gate_let_go(&seed_gate);
    return NULL;
}

/* The first JSON of the process. It must be the first test. */
static void a_seed_is_being_read(void **state)
{
    tiny t;
    pthread_t thread;
    (void)state;
    tiny_make(&t, NULL);
    gate_init(&seed_gate);
    gate_arm(&seed_gate);
    REQUIRE(pthread_create(&thread, NULL, open_one, &t.source) == 0);
    if (gate_wait_inside(&seed_gate) && gate_in_child()) {
        remora_model_free(host_open(NULL, &t.source));
        _exit(0);
    }
    gate_let_go(&seed_gate);
    REQUIRE(pthread_join(thread, NULL) == 0);
    assert_int_equal(seed_reads, 0);
    tiny_free(&t);
}

/* ---- samplers ---- */

static const float row[] = {1, 2, 3, 4, 5, 6, 7, 8};

static void is_busy(remora_sampler *p, remora_session *s)
{
    remora_sampler *clone = NULL;
    remora_token t = 0;
    size_t n;
    const remora_stage stage = {
        .struct_size = sizeof stage, .kind = REMORA_STAGE_TOP_K, .count = 1};
    REQUIRE(remora_sampler_add(p, &stage, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_sampler_accept(p, 1, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_sampler_spell(p, "a", 1, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_sampler_pick_from(p, row, 8, &t, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_sampler_pick(p, s, 0, &t, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_generate(s, p, NULL, &t, 1, &n, NULL) == REMORA_E_BUSY);
    remora_sampler_reset(p, 1); /* does nothing */
    if (remora_sampler_clone(p, &clone, NULL) >= 0) remora_sampler_free(clone);
}

static void is_lost(remora_sampler *p, remora_session *s)
{
    remora_sampler *clone;
    is_busy(p, s);
    REQUIRE(remora_sampler_clone(p, &clone, NULL) == REMORA_E_BUSY && clone == NULL);
}

static void add(remora_sampler *p, int32_t kind, double value, int64_t count)
{
    remora_error err = HOST_ERROR;
    const remora_stage s = {.struct_size = sizeof s, .kind = kind, .value = value, .count = count};
    REQUIRE_OK(remora_sampler_add(p, &s, &err), &err);
}

typedef struct world {
    tiny t;
    gated_mem mem;
    remora_runtime *rt;
    remora_model *m;
    remora_session *s; /* with one row */
    int released;      /* stages of the samplers below */
} world;

static void REMORA_CALL on_run(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                               void *arg)
{
    gate_pass(user);
    for (uint32_t i = 0; i < n; i++) fn(arg, i);
}

static void world_make(world *w)
{
    const remora_token id = 1;
    const remora_runtime_opts o = {.struct_size = sizeof o,
                                   .n_threads = 2,
                                   .alloc_user = &w->mem,
                                   .alloc = gated_alloc,
                                   .resize = gated_resize,
                                   .dealloc = gated_dealloc,
                                   .run = on_run,
                                   .run_user = &w->mem.gate};
    memset(w, 0, sizeof *w);
    gate_init(&w->mem.gate);
    tiny_make(&w->t, NULL);
    REQUIRE_OK(remora_runtime_create(&o, &w->rt, NULL), NULL);
    w->m = host_open(w->rt, &w->t.source);
    w->s = host_session(w->m, 40, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(w->s, &id, 1, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_eval(&w->s, 1, NULL, NULL), NULL);
}

static void world_free(world *w)
{
    remora_session_free(w->s);
    remora_model_free(w->m);
    remora_runtime_free(w->rt);
    REQUIRE(atomic_load(&w->mem.mem.damage) == 0);
}

static void REMORA_CALL on_release(void *user)
{
    ((world *)user)->released++;
}

static remora_status REMORA_CALL on_pick(void *user, remora_token_prob *cand, size_t *n)
{
    (void)cand, (void)n;
    gate_pass(&((world *)user)->mem.gate);
    return REMORA_OK;
}

static void add_own(world *w, remora_sampler *p)
{
    remora_error err = HOST_ERROR;
    const remora_stage s = {.struct_size = sizeof s,
                            .kind = REMORA_STAGE_CALLBACK,
                            .user = w,
                            .fn = on_pick,
                            .release = on_release};
    REQUIRE_OK(remora_sampler_add(p, &s, &err), &err);
}

/* A sampler with a stage of the host, a window and tokens in it. */
static remora_sampler *make_sampler(world *w)
{
    remora_sampler *p;
    REQUIRE_OK(remora_sampler_create(w->m, 1, &p, NULL), NULL);
    add_own(w, p);
    add(p, REMORA_STAGE_PRESENCE, 1, 4);
    for (int i = 0; i < 6; i++) REQUIRE_OK(remora_sampler_accept(p, i, NULL), NULL);
    return p;
}

static void picks(remora_sampler *p)
{
    remora_token t;
    REQUIRE_OK(remora_sampler_pick_from(p, row, 8, &t, NULL), NULL);
    REQUIRE_OK(remora_sampler_accept(p, t, NULL), NULL);
}

static void *add_many(void *p)
{
    add(p, REMORA_STAGE_REPEAT, 1.5, 9);
    add(p, REMORA_STAGE_TOP_K, 0, 3);
    add(p, REMORA_STAGE_FREQUENCY, 0.5, 30);
    add(p, REMORA_STAGE_BIAS, 1, 2);
    add(p, REMORA_STAGE_BIAS, 1, 3);
    return NULL;
}

/* Another thread is before or behind the k-th call of the allocator of adding stages. */
static void stages_are_being_added(void **state)
{
    world w;
    pthread_t thread;
    (void)state;
    world_make(&w);
    remora_sampler *other = make_sampler(&w), *p = make_sampler(&w);
    const long before = w.mem.passes;
    add_many(p);
    const long passes = w.mem.passes - before;
    assert_true(passes > 8);
    remora_sampler_free(p);
    for (long k = 1; k <= passes; k++) {
        p = make_sampler(&w);
        gate_arm(&w.mem.gate);
        w.mem.at = w.mem.passes + k;
        REQUIRE(pthread_create(&thread, NULL, add_many, p) == 0);
        REQUIRE(gate_wait_inside(&w.mem.gate));
        if (gate_in_child()) {
            w.released = 0;
            is_lost(p, w.s);
            remora_sampler_free(p);
            REQUIRE(w.released == 1);
            picks(other);
            remora_sampler_free(other);
            REQUIRE(w.released == 2);
            world_free(&w);
            _exit(0);
        }
        gate_let_go(&w.mem.gate);
        REQUIRE(pthread_join(thread, NULL) == 0);
        picks(p);
        remora_sampler_free(p);
    }
    remora_sampler_free(other);
    world_free(&w);
    assert_int_equal(atomic_load(&w.mem.mem.bytes), 0);
    tiny_free(&w.t);
}

typedef struct call {
    remora_sampler *p;
    remora_session *s; /* NULL: no generating */
} call;

static void *use(void *arg)
{
    const call *c = arg;
    remora_token t;
    size_t n;
    if (c->s == NULL)
        picks(c->p);
    else
        REQUIRE(remora_generate(c->s, c->p, NULL, &t, 1, &n, NULL) == REMORA_MORE && n == 1);
    return NULL;
}

/* Another thread is in a stage of the sampler: here too it is E_BUSY, and in the child it stays so.
 */
static void a_stage_is_running(void **state)
{
    world w;
    pthread_t thread;
    (void)state;
    world_make(&w);
    for (int generates = 0; generates < 2; generates++) {
        remora_sampler *p = make_sampler(&w);
        remora_session *s = NULL;
        REQUIRE_OK(remora_session_fork(w.s, &s, NULL), NULL);
        call c = {p, generates ? s : NULL};
        gate_arm(&w.mem.gate);
        REQUIRE(pthread_create(&thread, NULL, use, &c) == 0);
        REQUIRE(gate_wait_inside(&w.mem.gate));
        is_busy(p, w.s);
        if (gate_in_child()) {
            w.released = 0;
            is_lost(p, w.s);
            REQUIRE((remora_session_trim(s, 0, NULL) == REMORA_E_BUSY) == generates);
            remora_sampler_free(p);
            REQUIRE(w.released == 1);
            p = make_sampler(&w);
            picks(p);
            remora_sampler_free(p);
            remora_session_free(s);
            world_free(&w);
            _exit(0);
        }
        gate_let_go(&w.mem.gate);
        REQUIRE(pthread_join(thread, NULL) == 0);
        picks(p);
        remora_sampler_free(p);
        remora_session_free(s);
    }
    world_free(&w);
    assert_int_equal(atomic_load(&w.mem.mem.bytes), 0);
    tiny_free(&w.t);
}

/* ---- ceilings ---- */

/* Lower the ceiling as far as it goes; returns what the last call that was not refused said. */
static remora_status lower(remora_model *m)
{
    uint64_t low = 1, high = 1ull << 40;
    remora_status st = remora_model_set_budget(m, high, 0, NULL);
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        const remora_status got = remora_model_set_budget(m, middle, 0, NULL);
        REQUIRE(got >= 0 || got == REMORA_E_NOMEM);
        if (got < 0) {
            low = middle + 1;
        } else {
            high = middle;
            st = got;
        }
    }
    return st;
}

static void *evaluate(void *s)
{
    remora_session *one = s;
    REQUIRE_OK(remora_eval(&one, 1, NULL, NULL), NULL);
    return NULL;
}

/* What an evaluation has taken that the child does not have goes with its session: there is memory
 * for others again, and the ceiling is not out of reach for ever. */
static void scratch_of_a_lost_session(void **state)
{
    static const remora_token ids[] = {1, 2, 3};
    world w;
    pthread_t thread;
    (void)state;
    world_make(&w);
    remora_session *s = host_session(w.m, 40, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(s, ids, 3, 0, NULL), NULL);
    REQUIRE_OK(remora_session_append(w.s, ids, 3, 0, NULL), NULL);
    REQUIRE(lower(w.m) == REMORA_OK); /* scratch memory for one eval at a time */
    gate_arm(&w.mem.gate);
    REQUIRE(pthread_create(&thread, NULL, evaluate, s) == 0);
    REQUIRE(gate_wait_inside(&w.mem.gate));
    if (gate_in_child()) {
        REQUIRE(remora_eval(&w.s, 1, NULL, NULL) == REMORA_E_NOMEM);
        remora_session_free(s);
        REQUIRE_OK(remora_eval(&w.s, 1, NULL, NULL), NULL);
        remora_session_free(w.s);
        w.s = NULL;
        REQUIRE(lower(w.m) == REMORA_OK);
        world_free(&w);
        _exit(0);
    }
    gate_let_go(&w.mem.gate);
    REQUIRE(pthread_join(thread, NULL) == 0);
    REQUIRE_OK(remora_eval(&w.s, 1, NULL, NULL), NULL);
    remora_session_free(s);
    world_free(&w);
    assert_int_equal(atomic_load(&w.mem.mem.bytes), 0);
    tiny_free(&w.t);
}

static void *lower_all(void *m)
{
    REQUIRE(lower(m) == REMORA_OK);
    return NULL;
}

/* Another thread is giving scratch memory back: what the child has lost of it does not count as
 * memory that will go. */
static void scratch_is_being_freed(void **state)
{
    world w;
    pthread_t thread;
    long passes = 0;
    (void)state;
    world_make(&w);
    remora_session_free(w.s);
    w.s = NULL;
    for (long k = 0; k <= passes; k++) {
        REQUIRE_OK(remora_model_set_budget(w.m, 0, 0, NULL), NULL);
        remora_session_free(host_session(w.m, 40, REMORA_KV_F32)); /* leaves scratch memory */
        const long before = w.mem.passes;
        if (k == 0) {
            lower_all(w.m);
            passes = w.mem.passes - before;
            assert_true(passes > 2);
            continue;
        }
        gate_arm(&w.mem.gate);
        w.mem.at = before + k;
        REQUIRE(pthread_create(&thread, NULL, lower_all, w.m) == 0);
        REQUIRE(gate_wait_inside(&w.mem.gate));
        if (gate_in_child()) {
            REQUIRE(lower(w.m) == REMORA_OK);
            world_free(&w);
            _exit(0);
        }
        gate_let_go(&w.mem.gate);
        REQUIRE(pthread_join(thread, NULL) == 0);
    }
    world_free(&w);
    assert_int_equal(atomic_load(&w.mem.mem.bytes), 0);
    tiny_free(&w.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_is_being_read), /* the first one */
        cmocka_unit_test(stages_are_being_added), cmocka_unit_test(a_stage_is_running),
        cmocka_unit_test(scratch_of_a_lost_session), cmocka_unit_test(scratch_is_being_freed)};
    return cmocka_run_group_tests_name("P25, handles", tests, NULL, NULL);
}
