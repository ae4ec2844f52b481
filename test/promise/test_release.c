/* SPDX-License-Identifier: Apache-2.0 */
/* What a host lends with a runtime, a source or a stage is its own again when `release` says so:
 * exactly once for each call that was given it, after every other use, on the host's thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

/* What is lent: uses of it are counted as late when they come after its release. */
typedef struct lent {
    atomic_int released, late;
    pthread_t thread; /* that released it */
    int turn;         /* of all releases */
    tmem mem;
    host_io io;
    remora_blob blobs[8]; /* copies, which the release destroys */
    uint64_t n_blobs;
} lent;

static void used(lent *l)
{
    if (atomic_load(&l->released) != 0) atomic_fetch_add(&l->late, 1);
}

static int releases;
static void REMORA_CALL on_release(void *user)
{
    lent *l = user;
    l->thread = pthread_self();
    l->turn = releases++;
    atomic_fetch_add(&l->released, 1);
    for (uint64_t i = 0; i < l->n_blobs; i++) {
        void *p;
        memcpy(&p, &l->blobs[i].data, sizeof p);
        memset(p, 0xA5, l->blobs[i].size);
        free(p);
    }
    l->n_blobs = 0;
}

static void expect(lent *l, int released, const char *when)
{
    if (atomic_load(&l->released) != released || atomic_load(&l->late) != 0)
        fail_msg("%s: released %d times instead of %d, used after it %d times", when,
                 atomic_load(&l->released), released, atomic_load(&l->late));
    if (released > 0) assert_true(pthread_equal(l->thread, pthread_self()));
}

/* ---- runtimes ---- */

static void *REMORA_CALL on_alloc(void *user, size_t size, size_t align)
{
    used(user);
    return tmem_alloc(&((lent *)user)->mem, size, align);
}

static void *REMORA_CALL on_resize(void *user, void *p, size_t old, size_t size, size_t align)
{
    used(user);
    return tmem_resize(&((lent *)user)->mem, p, old, size, align);
}

static void REMORA_CALL on_dealloc(void *user, void *p, size_t size, size_t align)
{
    used(user);
    tmem_release(&((lent *)user)->mem, p, size, align);
}

static void REMORA_CALL on_log(void *user, int32_t level, const char *text, size_t len)
{
    (void)level, (void)text, (void)len;
    used(user);
}

static void REMORA_CALL on_thread(void *user, uint32_t index)
{
    (void)index;
    used(user);
}

static remora_runtime_opts runtime_of(lent *l, int32_t n_threads)
{
    return (remora_runtime_opts){.struct_size = sizeof(remora_runtime_opts),
                                 .alloc_user = l,
                                 .alloc = on_alloc,
                                 .resize = on_resize,
                                 .dealloc = on_dealloc,
                                 .log_user = l,
                                 .log = on_log,
                                 .log_level = REMORA_LOG_DEBUG,
                                 .n_threads = n_threads,
                                 .thread_start_user = l,
                                 .thread_start = on_thread,
                                 .release_user = l,
                                 .release = on_release};
}

static void runtimes_that_cannot_be_made(void **state)
{
    const remora_option strange = host_option("x-strange", "1");
    remora_runtime *rt;
    (void)state;
    for (int i = 0; i < 7; i++) {
        lent l = {0};
        struct {
            remora_runtime_opts opts;
            unsigned char newer[16];
        } o = {.opts = runtime_of(&l, 1)};
        if (i == 0) o.opts.dealloc = NULL;
        if (i == 1) o.opts.n_threads = -1;
        if (i == 2) o.opts.log_level = 9;
        if (i == 3) o.opts.flags = 1;
        if (i == 4) o.opts.extra = &strange, o.opts.n_extra = 1;
        if (i == 5) o.opts.struct_size = sizeof o, o.newer[3] = 1;
        assert_true(remora_runtime_create(&o.opts, i == 6 ? NULL : &rt, NULL) < 0);
        expect(&l, 1, "a runtime that cannot be made");
    }
    lent l = {0};
    remora_runtime_opts o = runtime_of(&l, 1);
    o.struct_size = 8;
    assert_int_equal(remora_runtime_create(&o, &rt, NULL), REMORA_E_STRUCT);
    expect(&l, 0, "a struct that is not read");
}

static void runtimes_without_memory(void **state)
{
    int made = 0;
    (void)state;
    for (long k = 1; !made; k++) {
        lent l = {0};
        remora_runtime *rt;
        const remora_runtime_opts o = runtime_of(&l, 3);
        tmem_arm(&l.mem, k);
        made = remora_runtime_create(&o, &rt, NULL) >= 0;
        expect(&l, !made, "a runtime without memory");
        remora_runtime_free(rt);
        expect(&l, 1, "a runtime that is gone");
        assert_int_equal(atomic_load(&l.mem.blocks), 0);
    }
}

/* ---- sources ---- */

static remora_status REMORA_CALL on_size(void *user, const char *name, uint64_t *size)
{
    lent *l = user;
    const remora_source io = host_io_source(&l->io);
    used(l);
    return io.io_size(io.io_user, name, size);
}

static remora_status REMORA_CALL on_read(void *user, const char *name, uint64_t off, void *buf,
                                         uint64_t n)
{
    lent *l = user;
    const remora_source io = host_io_source(&l->io);
    used(l);
    return io.io_read(io.io_user, name, off, buf, n);
}

enum { IN_MEMORY, BY_IO, IN_FILES };

typedef struct shelf {
    const remora_blob *blobs;
    uint64_t n;
    const char *name, *path; /* of a pack; NULL: a folder */
} shelf;

static remora_source lend(lent *l, const shelf *s, int kind)
{
    remora_source src = {.struct_size = sizeof src,
                         .path = kind == IN_FILES ? s->path : s->name,
                         .release_user = l,
                         .release = on_release};
    memset(l, 0, sizeof *l);
    if (kind == IN_MEMORY) {
        src.kind = REMORA_SOURCE_MEMORY;
        for (uint64_t i = 0; i < s->n; i++) {
            void *copy = malloc(s->blobs[i].size);
            assert_non_null(copy);
            memcpy(copy, s->blobs[i].data, s->blobs[i].size);
            l->blobs[i] = (remora_blob){s->blobs[i].name, copy, s->blobs[i].size};
        }
        l->n_blobs = s->n;
        src.blobs = l->blobs;
        src.n_blobs = s->n;
    } else if (kind == BY_IO) {
        src.kind = REMORA_SOURCE_IO;
        l->io = (host_io){.blobs = s->blobs, .n = s->n};
        src.io_user = l;
        src.io_size = on_size;
        src.io_read = on_read;
    } else {
        src.kind = REMORA_SOURCE_PATH;
    }
    return src;
}

/* A folder and a pack of the same model. */
typedef struct bed {
    tiny t;
    char folder[128], dir[HOST_DIR], pack[HOST_DIR + 16];
    remora_blob whole;
    shelf shelves[2];
} bed;

static void bed_make(bed *b)
{
    size_t size;
    tiny_make(&b->t, NULL);
    tiny_folder_make(&b->t, b->folder, sizeof b->folder);
    host_dir_make(b->dir);
    snprintf(b->pack, sizeof b->pack, "%s/m.remora", b->dir);
    host_convert(NULL, &b->t.source, b->pack, NULL, 0);
    b->whole = (remora_blob){.name = "m.remora", .data = host_file(b->pack, &size)};
    b->whole.size = size;
    b->shelves[0] = (shelf){b->t.blobs, b->t.n, NULL, b->folder};
    b->shelves[1] = (shelf){&b->whole, 1, "m.remora", b->pack};
}

static void bed_free(bed *b)
{
    void *p;
    memcpy(&p, &b->whole.data, sizeof p);
    free(p);
    unlink(b->pack);
    rmdir(b->dir);
    tiny_folder_free(&b->t, b->folder);
    tiny_free(&b->t);
}

/* A model, a session that evaluates from it, a sampler and its clone, freed in the order of the
 * digits of `order`; the runtime first, or last. */
static void whole_life(const shelf *s, int kind, const char *order, int runtime_first)
{
    static const remora_token ids[] = {1, 2, 3};
    lent r = {0}, l;
    remora_runtime *rt;
    remora_model *m;
    remora_sampler *p, *clone;
    remora_error err = HOST_ERROR;
    const remora_runtime_opts o = runtime_of(&r, 3);
    const remora_source src = lend(&l, s, kind);
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    REQUIRE_OK(remora_model_open(rt, &src, NULL, &m, &err), &err);
    remora_session *session = host_session(m, 64, REMORA_KV_F32);
    REQUIRE_OK(remora_sampler_create(m, 1, &p, &err), &err);
    REQUIRE_OK(remora_sampler_clone(p, &clone, &err), &err);
    if (runtime_first) remora_runtime_free(rt);
    for (; *order != 0; order++) {
        expect(&l, 0, "a source in use");
        if (*order == 's') {
            REQUIRE_OK(remora_session_append(session, ids, 3, REMORA_WANT_LAST, &err), &err);
            REQUIRE_OK(remora_eval(&session, 1, NULL, &err), &err);
            remora_session_free(session);
        }
        if (*order == 'm') remora_model_free(m);
        if (*order == 'p') remora_sampler_free(p);
        if (*order == 'c') remora_sampler_free(clone);
    }
    expect(&l, 1, "a source of a model that is gone");
    expect(&r, runtime_first, "a runtime whose models are gone");
    if (!runtime_first) remora_runtime_free(rt);
    expect(&r, 1, "a runtime that is gone");
    assert_true(l.turn < r.turn);
    assert_int_equal(atomic_load(&r.mem.blocks), 0);
}

static void with_the_last_child(void **state)
{
    bed b;
    (void)state;
    bed_make(&b);
    for (int i = 0; i < 2; i++) {
        for (int kind = IN_MEMORY; kind <= IN_FILES; kind++) {
            whole_life(&b.shelves[i], kind, "smpc", 0);
            whole_life(&b.shelves[i], kind, "mpcs", 1);
            whole_life(&b.shelves[i], kind, "smcp", 1);
            whole_life(&b.shelves[i], kind, "pcsm", 1);
        }
    }
    bed_free(&b);
}

static remora_status open_and_free(remora_runtime *rt, const remora_source *src, lent *l)
{
    remora_model *m;
    const remora_status st = remora_model_open(rt, src, NULL, &m, NULL);
    if (st >= 0) expect(l, 0, "a source in use");
    remora_model_free(m);
    return st;
}

static remora_status estimate(remora_runtime *rt, const remora_source *src, lent *l)
{
    remora_memory out = {.struct_size = sizeof out};
    (void)l;
    return remora_model_estimate(rt, src, NULL, NULL, 1, &out, NULL);
}

static remora_status verify(remora_runtime *rt, const remora_source *src, lent *l)
{
    (void)l;
    return remora_verify(rt, src, NULL, NULL, NULL);
}

static char target[HOST_DIR + 16];
static remora_status convert(remora_runtime *rt, const remora_source *src, lent *l)
{
    const remora_convert_opts o = {.struct_size = sizeof o, .flags = REMORA_CONVERT_NO_SELF_TEST};
    (void)l;
    return remora_convert(rt, src, target, &o, NULL);
}

typedef remora_status user_of_source(remora_runtime *rt, const remora_source *src, lent *l);
static user_of_source *const users[] = {open_and_free, estimate, verify, convert};
enum { USERS = sizeof users / sizeof users[0] };

/* Every call that takes a source, with each allocation failing, and then with none. */
static void without_memory(const shelf *s, int kind, user_of_source *fn)
{
    tmem mem = {0};
    remora_runtime *rt = host_runtime(&mem, 1, NULL);
    for (int hit = 1, k = 1; hit; k++) {
        lent l;
        const remora_source src = lend(&l, s, kind);
        tmem_arm(&mem, k);
        (void)fn(rt, &src, &l);
        hit = atomic_load(&mem.calls) >= k;
        tmem_arm(&mem, 0);
        expect(&l, 1, "a call without memory");
    }
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.blocks), 0);
}

static void calls_without_memory(void **state)
{
    bed b;
    (void)state;
    bed_make(&b);
    snprintf(target, sizeof target, "%s/new.remora", b.dir);
    for (int i = 0; i < 2; i++)
        for (int u = 0; u < USERS; u++) without_memory(&b.shelves[i], (i + u) % 2, users[u]);
    unlink(target);
    bed_free(&b);
}

static void storage_that_fails(void **state)
{
    bed b;
    (void)state;
    bed_make(&b);
    for (int u = 0; u < USERS; u++) {
        for (long k = 1, calls = k; calls >= k; k++) {
            lent l;
            const remora_source src = lend(&l, &b.shelves[u == 2], BY_IO);
            l.io.fail_at = k;
            l.io.with = REMORA_E_IO;
            (void)users[u](NULL, &src, &l);
            calls = atomic_load(&l.io.calls);
            expect(&l, 1, "a call whose storage fails");
        }
    }
    unlink(target);
    bed_free(&b);
}

/* A wrong argument is a failure like every other. */
static void sources_that_are_wrong(void **state)
{
    bed b;
    (void)state;
    bed_make(&b);
    for (int u = 0; u < USERS; u++) {
        for (int i = 0; i < 7; i++) {
            lent l;
            struct {
                remora_source src;
                unsigned char newer[8];
            } s = {.src = lend(&l, &b.shelves[0], IN_FILES)};
            if (i == 0) s.src.kind = 9;
            if (i == 1) s.src.path = "/nowhere/at/all";
            if (i == 2) s.src.flags = REMORA_SOURCE_READ_LATER;
            if (i == 3) s.src.flags = 64;
            if (i == 4) s.src.blobs = b.t.blobs;
            if (i == 5) s.src.struct_size = sizeof s, s.newer[7] = 1;
            if (i == 6) s.src.struct_size = sizeof s.src - 8;
            assert_true(users[u](NULL, &s.src, &l) < 0);
            expect(&l, i < 6, "a wrong source");
        }
    }
    bed_free(&b);
}

static void arguments_beside_a_source(void **state)
{
    const remora_model_opts o = {.struct_size = sizeof o, .flags = 1u << 30};
    const remora_convert_opts c = {.struct_size = sizeof c, .flags = 1u << 30};
    const remora_verify_opts v = {.struct_size = 4};
    remora_memory mem = {.struct_size = 4};
    remora_verify_report report = {.struct_size = 4};
    remora_model *m;
    bed b;
    (void)state;
    bed_make(&b);
    for (int i = 0; i < 8; i++) {
        lent l;
        const remora_source src = lend(&l, &b.shelves[1], IN_MEMORY);
        remora_status st = REMORA_OK;
        if (i == 0) st = remora_model_open(NULL, &src, &o, &m, NULL);
        if (i == 1) st = remora_model_open(NULL, &src, NULL, NULL, NULL);
        if (i == 2) st = remora_model_estimate(NULL, &src, NULL, NULL, 1, NULL, NULL);
        if (i == 3) st = remora_model_estimate(NULL, &src, NULL, NULL, 1, &mem, NULL);
        if (i == 4) st = remora_convert(NULL, &src, b.pack, &c, NULL);
        if (i == 5) st = remora_convert(NULL, &src, NULL, NULL, NULL);
        if (i == 6) st = remora_verify(NULL, &src, &v, NULL, NULL);
        if (i == 7) st = remora_verify(NULL, &src, NULL, &report, NULL);
        assert_true(st == REMORA_E_ARG || st == REMORA_E_STRUCT);
        expect(&l, 1, "a call with another wrong argument");
    }
    bed_free(&b);
}

/* ---- stages ---- */

static remora_status REMORA_CALL on_pick(void *user, remora_token_prob *cand, size_t *n)
{
    (void)cand, (void)n;
    used(user);
    return REMORA_OK;
}

static remora_stage stage_of(lent *l)
{
    memset(l, 0, sizeof *l);
    return (remora_stage){.struct_size = sizeof(remora_stage),
                          .kind = REMORA_STAGE_CALLBACK,
                          .user = l,
                          .fn = on_pick,
                          .release = on_release};
}

static void add(remora_sampler *p, lent *l)
{
    const remora_stage s = stage_of(l);
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_sampler_add(p, &s, &err), &err);
}

static void pick(remora_sampler *p)
{
    static const float row[] = {1, 2, 3};
    remora_token t;
    REQUIRE_OK(remora_sampler_pick_from(p, row, 3, &t, NULL), NULL);
}

/* A sampler, its clone and the clone's clone share stages; each has one of its own. */
static void stages_of_clones(void **state)
{
    tiny t;
    tmem mem = {0};
    lent first, second, third;
    remora_sampler *p[3];
    (void)state;
    tiny_make(&t, NULL);
    remora_runtime *rt = host_runtime(&mem, 1, NULL);
    for (int last = 0; last < 3; last++) {
        remora_model *m = host_open(rt, &t.source);
        REQUIRE_OK(remora_sampler_create(m, 1, &p[0], NULL), NULL);
        remora_model_free(m);
        add(p[0], &first);
        REQUIRE_OK(remora_sampler_clone(p[0], &p[1], NULL), NULL);
        add(p[1], &second);
        REQUIRE_OK(remora_sampler_clone(p[1], &p[2], NULL), NULL);
        add(p[2], &third);
        for (int i = 1; i < 3; i++) {
            expect(&first, 0, "a stage of a sampler and its clones");
            remora_sampler_free(p[(last + i) % 3]);
        }
        expect(&first, 0, "a stage of one that is left");
        expect(&second, last == 0, "a stage of two clones");
        expect(&third, last != 2, "a stage of the last clone");
        pick(p[last]);
        remora_sampler_reset(p[last], 2);
        expect(&first, 0, "a stage after a reset");
        remora_sampler_free(p[last]);
        expect(&first, 1, "a stage of samplers that are gone");
        expect(&second, 1, "a stage of clones that are gone");
        expect(&third, 1, "a stage of the last clone, which is gone");
    }
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.blocks), 0);
    tiny_free(&t);
}

/* Adding and cloning with each allocation failing: a clone that is not made releases nothing. */
static void stages_without_memory(void **state)
{
    tiny t;
    tmem mem = {0};
    int added = 0;
    (void)state;
    tiny_make(&t, NULL);
    remora_runtime *rt = host_runtime(&mem, 1, NULL);
    remora_model *m = host_open(rt, &t.source);
    for (long k = 1; !added; k++) {
        lent l;
        remora_sampler *p, *clone;
        remora_stage s = stage_of(&l);
        const remora_stage other = {
            .struct_size = sizeof other, .kind = REMORA_STAGE_PRESENCE, .value = 1};
        REQUIRE_OK(remora_sampler_create(m, 1, &p, NULL), NULL);
        tmem_arm(&mem, k);
        added = remora_sampler_add(p, &s, NULL) >= 0;
        tmem_arm(&mem, 0);
        expect(&l, !added, "a stage that cannot be added");
        REQUIRE_OK(remora_sampler_add(p, &other, NULL), NULL);
        for (int n = 1, cloned = 0; added && !cloned; n++) {
            tmem_arm(&mem, n);
            cloned = remora_sampler_clone(p, &clone, NULL) >= 0;
            tmem_arm(&mem, 0);
            remora_sampler_free(clone);
            expect(&l, 0, "a stage whose clone is gone");
        }
        pick(p);
        remora_sampler_free(p);
        expect(&l, 1, "a stage of a sampler that is gone");
    }
    remora_model_free(m);
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.blocks), 0);
    tiny_free(&t);
}

static int alone;
static void REMORA_CALL count_alone(void *user)
{
    assert_null(user);
    alone++;
}

static void stages_that_are_wrong(void **state)
{
    tiny t;
    remora_sampler *p;
    (void)state;
    tiny_make(&t, NULL);
    remora_model *m = host_open(NULL, &t.source);
    REQUIRE_OK(remora_sampler_create(m, 1, &p, NULL), NULL);
    for (int i = 0; i < 7; i++) {
        lent l;
        struct {
            remora_stage stage;
            unsigned char newer[8];
        } s = {.stage = stage_of(&l)};
        if (i == 0) s.stage.kind = 1000;
        if (i == 1) s.stage.fn = NULL;
        if (i == 2) s.stage.count = 1;
        if (i == 3) s.stage.kind = REMORA_STAGE_TEMPERATURE;
        if (i == 4) s.stage.kind = REMORA_STAGE_TEMPERATURE, s.stage.fn = NULL;
        if (i == 5) s.stage.struct_size = sizeof s, s.newer[0] = 1;
        assert_true(remora_sampler_add(i == 6 ? NULL : p, &s.stage, NULL) < 0);
        expect(&l, 1, "a wrong stage");
    }
    const remora_stage other = {.struct_size = sizeof other,
                                .kind = REMORA_STAGE_TOP_K,
                                .count = 1,
                                .release = count_alone};
    assert_int_equal(remora_sampler_add(p, &other, NULL), REMORA_E_ARG);
    assert_int_equal(alone, 1);
    remora_sampler_free(p);
    remora_model_free(m);
    tiny_free(&t);
}

/* ---- what a release may do ---- */

typedef struct chain {
    remora_runtime *rt;
    remora_sampler *other;
    const remora_source *src;
    int done;
} chain;

/* Frees handles of its runtime, and opens and frees a model. */
static void REMORA_CALL free_more(void *user)
{
    chain *c = user;
    remora_model *m;
    REQUIRE_OK(remora_model_open(c->rt, c->src, NULL, &m, NULL), NULL);
    remora_sampler_free(c->other);
    remora_runtime_free(c->rt);
    remora_model_free(m);
    c->done++;
}

static void a_release_may_call_the_library(void **state)
{
    tiny t;
    tmem mem = {0};
    remora_sampler *p;
    (void)state;
    tiny_make(&t, NULL);
    for (int how = 0; how < 2; how++) {
        chain c = {.rt = host_runtime(&mem, 2, NULL), .src = &t.source};
        remora_source src = t.source;
        if (how == 0) src.release = free_more, src.release_user = &c;
        remora_model *m = host_open(c.rt, &src);
        remora_model *second = host_open(c.rt, &t.source);
        REQUIRE_OK(remora_sampler_create(second, 1, &c.other, NULL), NULL);
        REQUIRE_OK(remora_sampler_create(m, 1, &p, NULL), NULL);
        const remora_stage s = {.struct_size = sizeof s,
                                .kind = REMORA_STAGE_CALLBACK,
                                .user = &c,
                                .fn = on_pick,
                                .release = free_more};
        if (how == 1) REQUIRE_OK(remora_sampler_add(p, &s, NULL), NULL);
        remora_model_free(second);
        remora_model_free(m);
        assert_int_equal(c.done, 0);
        remora_sampler_free(p);
        assert_int_equal(c.done, 1);
        assert_int_equal(atomic_load(&mem.blocks), 0);
    }
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(runtimes_that_cannot_be_made),
                                       cmocka_unit_test(runtimes_without_memory),
                                       cmocka_unit_test(with_the_last_child),
                                       cmocka_unit_test(calls_without_memory),
                                       cmocka_unit_test(storage_that_fails),
                                       cmocka_unit_test(sources_that_are_wrong),
                                       cmocka_unit_test(arguments_beside_a_source),
                                       cmocka_unit_test(stages_of_clones),
                                       cmocka_unit_test(stages_without_memory),
                                       cmocka_unit_test(stages_that_are_wrong),
                                       cmocka_unit_test(a_release_may_call_the_library)};
    return cmocka_run_group_tests_name("release", tests, NULL, NULL);
}
