/* SPDX-License-Identifier: Apache-2.0 */
/* The seam for several devices: a group of backends, each with its share of the output rows of
 * every weight, has the bits of one CPU backend, whatever the number of its members, their kernel
 * sets and the size of their shares. And what must not work does not: columns that are not
 * gathered, shares that begin inside a tile. Argument: a folder under REMORA_MODELS, or the path of
 * a pack. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "group/group_backend.h"
#include "groups.h"
#include "guard_backend.h"
#include "host.h"

static char path[1024];
static int is_krill; /* larger than the fixtures */

/* ---- what a model answers, as bytes ---- */

typedef struct answers {
    unsigned char *bytes;
    size_t n;
} answers;

static void add(answers *a, const void *p, size_t n)
{
    a->bytes = realloc(a->bytes, a->n + n);
    assert_non_null(a->bytes);
    memcpy(a->bytes + a->n, p, n);
    a->n += n;
}

typedef struct talk {
    remora_model *m;
    remora_model_info info;
    answers out;
    uint64_t seed;
} talk;

static remora_session *session(const talk *t, int32_t kv)
{
    const remora_session_opts o = {
        .struct_size = sizeof o, .kv_type = kv, .capacity = 512, .chunk = 64};
    remora_error err = HOST_ERROR;
    remora_session *s = NULL;
    REQUIRE_OK(remora_session_create(t->m, &o, &s, &err), &err);
    return s;
}

static void append(talk *t, remora_session *s, size_t n, uint32_t want)
{
    remora_token ids[512];
    host_ids(ids, n, t->info.n_vocab, t->seed++);
    assert_int_equal(remora_session_append(s, ids, n, want | REMORA_WANT_HIDDEN, NULL), REMORA_OK);
}

static void eval(talk *t, remora_session *const *s, size_t n)
{
    remora_error err = HOST_ERROR;
    float *hidden = malloc(t->info.n_hidden * sizeof *hidden);
    REQUIRE_OK(remora_eval(s, n, NULL, &err), &err);
    for (size_t i = 0; i < n; i++) {
        remora_session_info info = {.struct_size = sizeof info};
        assert_int_equal(remora_session_get_info(s[i], &info, NULL), REMORA_OK);
        for (uint32_t r = 0; r < info.n_rows; r++) {
            const float *logits = NULL;
            size_t width = 0;
            assert_int_equal(remora_session_logits(s[i], r, &logits, &width, NULL), REMORA_OK);
            add(&t->out, logits, width * sizeof *logits);
            assert_int_equal(remora_session_hidden(s[i], r, hidden, t->info.n_hidden, &width, NULL),
                             REMORA_OK);
            add(&t->out, hidden, width * sizeof *hidden);
        }
    }
    free(hidden);
}

static void say(talk *t, remora_session *s, size_t n, uint32_t want)
{
    append(t, s, n, want);
    eval(t, &s, 1);
}

/* Prompts in the expanded form and single tokens in the absorbed one, over the borders of pages,
 * chunks and segments; forks, trims, and several sessions with several types of cache in one step.
 */
static void talk_with(talk *t, int32_t kv, int32_t other)
{
    remora_session *a = session(t, kv), *b = NULL, *c = session(t, other);
    say(t, a, 45, REMORA_WANT_ALL);
    for (int i = 0; i < 2; i++) say(t, a, 1, REMORA_WANT_ALL);
    say(t, a, 6, REMORA_WANT_ALL);
    assert_int_equal(remora_session_fork(a, &b, NULL), REMORA_OK);
    append(t, a, 1, REMORA_WANT_ALL);
    append(t, b, 2, REMORA_WANT_ALL);
    append(t, c, 33, REMORA_WANT_ALL);
    eval(t, (remora_session *[]){b, c, a}, 3);
    assert_int_equal(remora_session_trim(a, 40, NULL), REMORA_OK);
    say(t, a, 20, REMORA_WANT_ALL);
    assert_int_equal(remora_session_trim(b, 20, NULL), REMORA_OK);
    say(t, b, 36, REMORA_WANT_LAST);
    say(t, c, 240, REMORA_WANT_LAST);
    say(t, c, 1, REMORA_WANT_LAST);
    remora_session_free(a);
    remora_session_free(b);
    remora_session_free(c);
}

static void add_counts(talk *t)
{
    uint64_t counts[512];
    size_t n;
    for (uint32_t l = 0; l < t->info.n_layers; l++) {
        const remora_status st = remora_routing_read(t->m, l, 1, counts, 512, &n, NULL);
        if (st != REMORA_E_NOT_FOUND) assert_int_equal(st, REMORA_OK);
        if (st == REMORA_OK) add(&t->out, counts, n * sizeof *counts);
    }
}

static void add_importance(talk *t)
{
    remora_importance imp = {.struct_size = sizeof imp};
    static double sums[1 << 14];
    for (uint32_t i = 0; remora_importance_get(t->m, i, &imp, NULL) == REMORA_OK; i++)
        for (uint32_t k = 0; k < imp.n_matrices; k++) {
            uint64_t count;
            size_t n;
            assert_int_equal(remora_importance_read(t->m, i, k, &count, sums, 1 << 14, &n, NULL),
                             REMORA_OK);
            add(&t->out, &count, sizeof count);
            add(&t->out, sums, n * sizeof *sums);
        }
}

static remora_status open_on(remora_runtime *rt, remora_model **m, remora_error *err)
{
    const remora_source src = host_path_source(path);
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_IMPORTANCE};
    return remora_model_open(rt, &src, &o, m, err);
}

/* All that a model says, with latents or keys in all types that it has. */
static answers answers_of(remora_runtime *rt, int brief)
{
    remora_error err = HOST_ERROR;
    talk t = {.info = {.struct_size = sizeof t.info}, .seed = 1};
    REQUIRE_OK(open_on(rt, &t.m, &err), &err);
    assert_int_equal(remora_model_get_info(t.m, &t.info, NULL), REMORA_OK);
    assert_int_equal(remora_routing_enable(t.m, 1, NULL), REMORA_OK);
    talk_with(&t, REMORA_KV_BF16, REMORA_KV_F32);
    if (!brief) talk_with(&t, REMORA_KV_F32, REMORA_KV_BF16);
    if (!brief && t.info.kv_lora_rank > 0) talk_with(&t, REMORA_KV_INT8, REMORA_KV_F32);
    add_counts(&t);
    add_importance(&t);
    remora_model_free(t.m);
    return t.out;
}

static answers expected, brief; /* of one CPU backend */

static int make_expected(void **state)
{
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    (void)state;
    expected = answers_of(rt, 0);
    brief = answers_of(rt, 1);
    remora_runtime_free(rt);
    return 0;
}

static int free_expected(void **state)
{
    (void)state;
    free(expected.bytes);
    free(brief.bytes);
    return 0;
}

/* ---- groups ---- */

static remora_runtime *group_runtime(const group_opts *g)
{
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 2};
    remora_error err = HOST_ERROR;
    remora_runtime *rt = NULL;
    REQUIRE_OK(group_runtime_create(&o, g, &rt, &err), &err);
    return rt;
}

static int is(const answers *a, const answers *b)
{
    return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

/* The same answers; returns what the group did for them. */
static group_stats check(const group_opts *g, const answers *want, const char *what)
{
    remora_runtime *rt = group_runtime(g);
    answers got = answers_of(rt, want == &brief);
    const group_stats s = group_get_stats(rt);
    if (!is(&got, want)) fail_msg("%s: other bits", what);
    free(got.bytes);
    remora_runtime_free(rt);
    return s;
}

static uint64_t gathers_of(const group_stats *s)
{
    uint64_t n = 0;
    for (int k = 0; k < RMR_OP_COUNT; k++) n += s->gathers[k];
    return n;
}

static void sizes(void **state)
{
    (void)state;
    const group_stats one = check(&(group_opts){.n = 1}, &expected, "one member");
    assert_true(gathers_of(&one) == 0 && one.bytes == 0 && one.idle == 0);
    const group_stats two = check(&(group_opts){.n = 2}, &expected, "two members");
    assert_true(gathers_of(&two) > 0 && two.bytes > 0);
    const group_stats three = check(&(group_opts){.n = 3}, &expected, "three members");
    assert_true(three.bytes > two.bytes);
}

static void unequal_shares(void **state)
{
    (void)state;
    check(&(group_opts){.n = 2, .part = {1, 3}}, &brief, "a quarter and three");
    check(&(group_opts){.n = 3, .part = {5, 0, 2}}, &brief, "one without a share");
}

/* More than there are heads, and than most weights have tiles. */
static void more_members_than_rows(void **state)
{
    (void)state;
    const group_stats s = check(&(group_opts){.n = 21}, &brief, "21 members");
    assert_true(s.idle > 0);
}

/* Heads that are parted are put together before attention. */
static void parted_heads(void **state)
{
    (void)state;
    check(&(group_opts){.n = 3, .no_heads = 1}, &brief, "parted heads");
}

static int is_here(const char *set)
{
    const remora_option isa = host_option("x-isa", set);
    const remora_runtime_opts o = {
        .struct_size = sizeof o, .n_threads = 1, .extra = &isa, .n_extra = 1};
    remora_runtime *rt = NULL;
    const remora_status st = remora_runtime_create(&o, &rt, NULL);
    assert_true(st == REMORA_OK || st == REMORA_E_UNSUPPORTED);
    remora_runtime_free(rt);
    return st == REMORA_OK;
}

/* A member for each kernel set of this machine; the plain one is slow and gets little. */
static void kernel_sets(void **state)
{
    char sets[HOST_SETS][16];
    const uint32_t n = host_sets(sets);
    group_opts g = {0};
    (void)state;
    for (uint32_t i = 0; i < n; i++) {
        if (!is_here(sets[i])) continue;
        g.part[g.n] = i == 0 ? 1 : 8;
        g.isa[g.n++] = sets[i];
    }
    check(&g, &brief, "kernel sets");
}

/* Every member has the whole cache: any of them can go on with that of any other. */
static void caches_of_others(void **state)
{
    (void)state;
    check(&(group_opts){.n = 3, .rotate = 1}, &brief, "caches of others");
}

/* Members whose memory is full of NaN, that adopt nothing and compute when they are waited for. */
static void guarded_members(void **state)
{
    const rmr_device_maker guard = {guard_make, NULL};
    const group_opts g = {.n = 2, .member = {guard, guard}, .part = {2, 1}};
    (void)state;
    remora_runtime *rt = group_runtime(&g);
    answers got = answers_of(rt, 1);
    assert_true(is(&got, &brief));
    for (uint32_t m = 0; m < g.n; m++) {
        const guard_stats s = guard_stats_of(group_member(rt, m));
        assert_true(s.violations == 0 && s.ops > 0);
    }
    free(got.bytes);
    remora_runtime_free(rt);
}

/* ---- what lies between operations ---- */

static unsigned char *dump_of(remora_runtime *rt, const char *file, size_t *size)
{
    const remora_option dump[] = {host_option("x-dump", file),
                                  host_option("x-dump-only", is_krill ? "layer 1" : "")};
    const remora_model_opts o = {.struct_size = sizeof o, .extra = dump, .n_extra = 2};
    const remora_source src = host_path_source(path);
    remora_error err = HOST_ERROR;
    talk t = {.info = {.struct_size = sizeof t.info}, .seed = 1};
    REQUIRE_OK(remora_model_open(rt, &src, &o, &t.m, &err), &err);
    assert_int_equal(remora_model_get_info(t.m, &t.info, NULL), REMORA_OK);
    remora_session *s = session(&t, REMORA_KV_F32);
    say(&t, s, 33, REMORA_WANT_LAST);
    say(&t, s, 2, REMORA_WANT_ALL);
    remora_session_free(s);
    remora_model_free(t.m);
    remora_runtime_free(rt);
    free(t.out.bytes);
    return host_file(file, size);
}

/* Every slot behind every operation, wherever its columns are. */
static void dumps(void **state)
{
    char dir[HOST_DIR], file[HOST_DIR + 16];
    size_t n, n_one;
    (void)state;
    host_dir_make(dir);
    snprintf(file, sizeof file, "%s/dump", dir);
    unsigned char *one = dump_of(host_runtime(NULL, 2, NULL), file, &n_one);
    unsigned char *got = dump_of(group_runtime(&(group_opts){.n = 3}), file, &n);
    assert_true(n_one > 100000);
    assert_true(n == n_one && memcmp(got, one, n) == 0);
    remove(file);
    remove(dir);
    free(one);
    free(got);
}

/* ---- what must not work ---- */

/* Without what is gathered behind one kind of operation. Keys that are missing in a cache are seen
 * where another member reads it. */
static int works_without(rmr_op_kind kind)
{
    const rmr_device_maker guard = {guard_make, NULL};
    const group_opts guards = {.n = 2, .member = {guard, guard}, .forget = kind},
                     rotating = {.n = 2, .rotate = 1, .forget = kind};
    remora_runtime *rt = group_runtime(kind == RMR_OP_ROPE ? &rotating : &guards);
    answers got = answers_of(rt, 1);
    const int works = is(&got, &brief);
    free(got.bytes);
    remora_runtime_free(rt);
    return works;
}

static void no_gather(void **state)
{
    const group_stats s = check(&(group_opts){.n = 2}, &brief, "two members");
    (void)state;
    assert_true(s.gathers[RMR_OP_LINEAR] > 0);
    for (int k = 0; k < RMR_OP_COUNT; k++)
        if (s.gathers[k] > 0 && works_without((rmr_op_kind)k))
            fail_msg("%s is not gathered: same bits", rmr_op_infos[k].name);
}

/* In a pack rows lie in tiles of 16: shares that begin elsewhere are other rows. */
static void wrong_multiple(void **state)
{
    const group_opts g = {.n = 3, .granule = 8};
    (void)state;
    remora_runtime *rt = group_runtime(&g);
    answers got = answers_of(rt, 1);
    assert_false(is(&got, &brief));
    free(got.bytes);
    remora_runtime_free(rt);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(unequal_shares),
        cmocka_unit_test(parted_heads),
        cmocka_unit_test(more_members_than_rows),
        cmocka_unit_test(kernel_sets),
        cmocka_unit_test(guarded_members),
        cmocka_unit_test(caches_of_others),
        cmocka_unit_test(dumps),
        cmocka_unit_test(no_gather),      /* not krill's folder, whose pack does it */
        cmocka_unit_test(wrong_multiple), /* packs only */
    };
    if (argc != 2) return 2;
    is_krill = strstr(argv[1], "krill") != NULL;
    const size_t left_out = argv[1][0] == '/' ? 0 : is_krill ? 2 : 1;
    if (left_out == 0)
        snprintf(path, sizeof path, "%s", argv[1]);
    else if (!host_folder(path, sizeof path, argv[1]))
        return 1;
    return run_group("group", tests, sizeof tests / sizeof *tests - left_out, make_expected,
                     free_expected);
}
