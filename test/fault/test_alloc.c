/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out at every place where it can: allocation k fails, for all k, alone or with all
 * that follow. Always E_NOMEM, nothing leaked, and the handles work on: the same call succeeds and
 * the logits are right to the bit. Argument, if any: model folders, for which k goes in coarse
 * steps. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "sweep.h"

enum { N = 45, CAP = 128 };

static const tiny_opts kinds[] = {{.advice = 1}, {.v2 = 1}, {.dense = "llama"}, {.dense = "qwen3"}};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- opening ---- */

static remora_status open_once(remora_runtime *rt, const remora_source *src, uint32_t flags,
                               remora_model **m)
{
    remora_error err = HOST_ERROR;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    const remora_status st = remora_model_open(rt, src, &o, m, &err);
    if (st < 0) {
        REQUIRE(*m == NULL);
        REQUIRE(err.code == st && err.message[0] != 0);
    }
    return st;
}

static long sweep_open(const remora_source *src, uint32_t flags, int how, long step)
{
    tmem mem = {0};
    remora_runtime *rt = host_runtime(&mem, 2, NULL);
    const long before = atomic_load(&mem.blocks);
    for (long k = 1;; k += step) {
        remora_model *m = (void *)&mem;
        sweep_arm(&mem, k, how);
        const remora_status st = open_once(rt, src, flags, &m);
        const int hit = sweep_disarm(&mem);
        REQUIRE(hit ? st == REMORA_E_NOMEM : st == REMORA_OK);
        remora_model_free(m);
        REQUIRE(atomic_load(&mem.blocks) == before);
        if (hit) continue;
        remora_runtime_free(rt);
        REQUIRE(atomic_load(&mem.bytes) == 0);
        return k;
    }
}

static void open_everywhere(const remora_source *src, int how)
{
    assert_true(sweep_open(src, 0, how, 1) > 100);
    assert_true(sweep_open(src, REMORA_MODEL_NO_MMAP, how, 1) > 100);
    assert_true(sweep_open(src, REMORA_MODEL_NO_WEIGHTS, how, 1) > 50);
    assert_true(sweep_open(src, REMORA_MODEL_IMPORTANCE, how, 1) > 100);
    assert_true(sweep_open(src, REMORA_MODEL_NO_WEIGHTS | REMORA_MODEL_ANYWAY, how, 1) > 50);
}

static void opening(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < N_KINDS; kind++)
        for (int how = SWEEP_ONE; how <= SWEEP_FROM; how++) {
            tiny t;
            char folder[64];
            tiny_make(&t, &kinds[kind]);
            tiny_folder_make(&t, folder, sizeof folder);
            host_io io = {.blobs = t.blobs, .n = t.n};
            const remora_source cb = host_io_source(&io);
            const remora_source path = {
                .struct_size = sizeof path, .kind = REMORA_SOURCE_PATH, .path = folder};
            open_everywhere(&t.source, how);
            open_everywhere(&cb, how);
            open_everywhere(&path, how);
            tiny_folder_free(&t, folder);
            tiny_free(&t);
        }
}

/* One of the files is not what it should be: what can be read is opened, or memory is out. */
static void opening_anyway(void **state)
{
    static const struct {
        const char *name, *text;
    } wrong[] = {
        {"config.json", "{\"model_type\":\"x\",\"num_hidden_layers\":2}"},
        {"config.json", "{\"model_type\":\"qwen3\",\"sliding_window\":1,\"mlp_bias\":true,"
                        "\"use_sliding_window\":true,\"quantization_config\":{}}"},
        {"config.json", "<html>"},
        {"tokenizer.json", "{}"},
        {"model.safetensors", "version https://git-lfs.github.com/spec/v1\nsize 5\n"},
        {"model.safetensors.index.json",
         "{\"weight_map\":{\"a\":\"model.safetensors\",\"b\":\"s2\",\"c\":\"s3\"}}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        for (int how = SWEEP_ONE; how <= SWEEP_FROM; how++) {
            tiny t;
            remora_blob blobs[5];
            uint64_t k = 0;
            tiny_make(&t, NULL);
            memcpy(blobs, t.blobs, t.n * sizeof *blobs);
            while (k < t.n && strcmp(blobs[k].name, wrong[i].name) != 0) k++;
            blobs[k] = (remora_blob){wrong[i].name, wrong[i].text, strlen(wrong[i].text)};
            const remora_source src = {.struct_size = sizeof src,
                                       .kind = REMORA_SOURCE_MEMORY,
                                       .blobs = blobs,
                                       .n_blobs = k == t.n ? t.n + 1 : t.n};
            assert_true(sweep_open(&src, REMORA_MODEL_NO_WEIGHTS | REMORA_MODEL_ANYWAY, how, 1) >
                        10);
            tiny_free(&t);
        }
}

static void runtime(void **state)
{
    (void)state;
    for (int32_t threads = 1; threads < 5; threads += 3)
        for (long k = 1;; k++) {
            tmem mem = {0};
            remora_error err = HOST_ERROR;
            remora_runtime *rt = (void *)&mem;
            const remora_runtime_opts o = host_runtime_opts(&mem, threads);
            sweep_arm(&mem, k, SWEEP_ONE);
            const remora_status st = remora_runtime_create(&o, &rt, &err);
            const int hit = sweep_disarm(&mem);
            REQUIRE(hit ? st == REMORA_E_NOMEM && rt == NULL : st == REMORA_OK);
            remora_runtime_free(rt);
            REQUIRE(atomic_load(&mem.blocks) == 0);
            if (!hit) break;
        }
}

static void estimate(void **state)
{
    tiny t;
    tmem mem = {0};
    (void)state;
    tiny_make(&t, NULL);
    remora_runtime *rt = host_runtime(&mem, 1, NULL);
    const long before = atomic_load(&mem.blocks);
    for (long k = 1;; k++) {
        remora_memory out = {.struct_size = sizeof out, .host_kv = 77};
        sweep_arm(&mem, k, SWEEP_ONE);
        const remora_status st = remora_model_estimate(rt, &t.source, NULL, NULL, 3, &out, NULL);
        const int hit = sweep_disarm(&mem);
        REQUIRE(atomic_load(&mem.blocks) == before);
        REQUIRE(hit ? st == REMORA_E_NOMEM && out.host_kv == 77 : st == REMORA_OK);
        if (!hit) break;
    }
    remora_runtime_free(rt);
    tiny_free(&t);
}

/* ---- JSON: jansson has an allocator of its own, which belongs to the host ---- */

static long json_calls, json_fail_at, json_live;

static void *json_alloc(size_t n)
{
    if (++json_calls == json_fail_at) return NULL;
    json_live++;
    return malloc(n);
}

static void json_release(void *p)
{
    json_live -= p != NULL;
    free(p);
}

static void json_sweep(const remora_source *src, uint32_t flags)
{
    tmem mem = {0};
    long k = 1, n_nomem = 0;
    remora_runtime *rt = host_runtime(&mem, 1, NULL);
    const long before = atomic_load(&mem.blocks);
    json_set_alloc_funcs(json_alloc, json_release);
    for (;; k++) {
        remora_model *m = NULL;
        json_calls = 0;
        json_fail_at = k;
        const remora_status st = open_once(rt, src, flags, &m);
        remora_model_free(m);
        REQUIRE(atomic_load(&mem.blocks) == before);
        REQUIRE(json_live == 0);
        if (json_calls < k) {
            REQUIRE(st == REMORA_OK);
            break;
        }
        /* jansson's lexer reports some of its failures as syntax errors, and when the buffer of a
         * long token cannot grow it loses a character: a status, if not always the right one */
        REQUIRE(st == REMORA_E_NOMEM || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED ||
                st == REMORA_OK);
        n_nomem += st == REMORA_E_NOMEM;
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(k > 100 && n_nomem * 2 > k);
    remora_runtime_free(rt);
}

static void json(void **state)
{
    /* No string of 16 bytes with its quotes: jansson 2.14 writes behind its block when the room for
     * the closing quote is what it cannot get. */
    static const char refused[] = "{\"model_type\":\"qwen3\",\"mlp_bias\":true,\"hidden_act\":"
                                  "\"gelu\",\"use_sliding_window\":true}";
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.form = TINY_SEES}); /* a configuration inside of another */
    json_sweep(&t.source, REMORA_MODEL_NO_WEIGHTS);
    remora_blob blobs[4];
    memcpy(blobs, t.blobs, sizeof blobs);
    assert_string_equal(blobs[0].name, "config.json");
    blobs[0] = (remora_blob){"config.json", refused, sizeof refused - 1};
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = blobs, .n_blobs = 4};
    json_sweep(&src, REMORA_MODEL_NO_WEIGHTS | REMORA_MODEL_ANYWAY);
    tiny_free(&t);
}

static void opening_tiktoken(void **state)
{
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.tiktoken = 1});
    for (int how = SWEEP_ONE; how <= SWEEP_FROM; how++)
        assert_true(sweep_open(&t.source, REMORA_MODEL_NO_WEIGHTS, how, 1) > 50);
    tiny_free(&t);
}

/* ---- living handles ---- */

typedef struct world {
    tmem mem;
    remora_runtime *rt;
    remora_model *m;
    remora_session *s;
    remora_sampler *p;
    remora_token ids[N];
    float *rows; /* of ids, all of them */
    uint32_t n_vocab;
} world;

static void world_make(world *w, const remora_source *src, uint32_t session_flags)
{
    remora_error err = HOST_ERROR;
    const remora_session_opts o = {
        .struct_size = sizeof o, .flags = session_flags, .capacity = CAP, .kv_type = REMORA_KV_F32};
    memset(w, 0, sizeof *w);
    w->rt = host_runtime(&w->mem, 2, NULL);
    w->m = host_open(w->rt, src);
    w->n_vocab = host_vocab(w->m);
    host_ids(w->ids, N, w->n_vocab, 3);
    w->rows = host_logits(w->m, w->ids, N);
    REQUIRE_OK(remora_session_create(w->m, &o, &w->s, &err), &err);
    REQUIRE_OK(remora_sampler_create(w->m, 5, &w->p, &err), &err);
}

static void world_free(world *w)
{
    remora_sampler_free(w->p);
    remora_session_free(w->s);
    remora_model_free(w->m);
    remora_runtime_free(w->rt);
    REQUIRE(atomic_load(&w->mem.bytes) == 0);
    free(w->rows);
}

/* One call that is made to fail; `done` undoes what it made when it succeeded. */
typedef struct act {
    const char *name;
    void (*before)(world *w);
    remora_status (*call)(world *w);
    void (*after)(world *w);
    int keeps; /* a failed call leaves the rows that were ready */
} act;

static remora_session *made_session;
static remora_sampler *made_sampler;

static void fresh(world *w)
{
    REQUIRE(remora_session_trim(w->s, 0, NULL) == REMORA_OK);
}

static void evaluated(world *w)
{
    remora_error err = HOST_ERROR;
    fresh(w);
    REQUIRE_OK(remora_session_append(w->s, w->ids, N, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&w->s, 1, NULL, &err), &err);
}

static remora_status create_session(world *w)
{
    const remora_session_opts o = {.struct_size = sizeof o, .capacity = 300, .chunk = 70};
    return remora_session_create(w->m, &o, &made_session, NULL);
}

static void free_session(world *w)
{
    (void)w;
    remora_session_free(made_session);
    made_session = NULL;
}

static remora_status append_all(world *w)
{
    return remora_session_append(w->s, w->ids, N, REMORA_WANT_ALL | REMORA_WANT_HIDDEN, NULL);
}

/* What was appended must be there to be evaluated. */
static void eval_all(world *w)
{
    remora_error err = HOST_ERROR;
    remora_session_info i = {.struct_size = sizeof i};
    REQUIRE_OK(remora_eval(&w->s, 1, NULL, &err), &err);
    REQUIRE(remora_session_get_info(w->s, &i, NULL) == REMORA_OK && i.pending == 0);
}

static void eval_and_compare(world *w)
{
    eval_all(w);
    sweep_expect(w->s, w->rows, N, "append", 0);
}

static remora_status append_more(world *w)
{
    return remora_session_append(w->s, w->ids, 40, REMORA_WANT_ALL, NULL);
}

static remora_status sync_more(world *w)
{
    remora_token t[N + 30];
    memcpy(t, w->ids, sizeof w->ids);
    host_ids(t + N - 5, 35, w->n_vocab, 9);
    return remora_session_sync(w->s, t, N + 30, REMORA_WANT_ALL, NULL, NULL);
}

static remora_status eval(world *w)
{
    return remora_eval(&w->s, 1, NULL, NULL);
}

static void appended(world *w)
{
    fresh(w);
    REQUIRE_OK(append_all(w), NULL);
}

static remora_status fork_session(world *w)
{
    return remora_session_fork(w->s, &made_session, NULL);
}

static remora_status generate(world *w)
{
    const remora_text stop[] = {host_text("no text has this"), host_text("nor this")};
    remora_token out[12];
    size_t n = 99;
    const remora_gen_opts o = {
        .struct_size = sizeof o, .max_tokens = 12, .stop = stop, .n_stop = 2};
    const remora_gen_opts plain = {.struct_size = sizeof plain, .max_tokens = 12};
    char probe[8];
    const int text = remora_token_bytes(w->m, 'a', probe, sizeof probe, &n, NULL) == REMORA_OK;
    remora_sampler_reset(w->p, 5);
    const remora_status st = remora_generate(w->s, w->p, text ? &o : &plain, out, 12, &n, NULL);
    REQUIRE(n <= 12);
    return st;
}

/* All of a text; fixtures have no tokenizer. */
static remora_status generate_text(world *w)
{
    const remora_text stop[] = {host_text("no text has this"), host_text("nor this")};
    const remora_gen_opts o = {
        .struct_size = sizeof o, .max_tokens = 12, .stop = stop, .n_stop = 2};
    char text[8];
    size_t n = 99;
    remora_status st;
    remora_sampler_reset(w->p, 5);
    do {
        st = remora_generate_text(w->s, w->p, &o, text, sizeof text, &n, NULL, 0, NULL, NULL);
        REQUIRE(n <= sizeof text);
    } while (st == REMORA_MORE);
    return st == REMORA_E_UNSUPPORTED ? REMORA_OK : st;
}

enum { DRAFTED = 12 };
static remora_token expected[DRAFTED];

/* A session of its own, which has no room for drafts yet. */
static remora_status drafting(world *w, uint32_t drafts, remora_token *out)
{
    const remora_session_opts so = {.struct_size = sizeof so,
                                    .flags =
                                        REMORA_SESSION_PREDICTION | REMORA_SESSION_PAGES_AS_NEEDED,
                                    .capacity = CAP};
    const remora_gen_opts o = {
        .struct_size = sizeof o, .max_tokens = DRAFTED, .max_drafts = drafts};
    remora_token t[24];
    remora_session *s = NULL;
    size_t n = 0;
    for (int i = 0; i < 24; i++) t[i] = w->ids[i % 8];
    remora_sampler_reset(w->p, 5);
    remora_status st = remora_session_create(w->m, &so, &s, NULL);
    if (st >= 0) st = remora_session_append(s, t, 24, REMORA_WANT_LAST, NULL);
    while (st >= 0 && st != REMORA_END) {
        size_t made = 0;
        st = remora_generate(s, w->p, &o, out + n, DRAFTED - n, &made, NULL);
        n += made;
    }
    remora_session_free(s);
    return st;
}

static void expect_drafts(world *w)
{
    fresh(w);
    REQUIRE(drafting(w, 0, expected) == REMORA_END);
}

/* What drafts lack makes no status, and no other tokens. */
static remora_status generate_with_drafts(world *w)
{
    remora_token out[DRAFTED];
    const remora_status st = drafting(w, 4, out);
    REQUIRE(st < 0 || memcmp(out, expected, sizeof out) == 0);
    return st;
}

static remora_status create_sampler(world *w)
{
    return remora_sampler_create(w->m, 1, &made_sampler, NULL);
}

static void free_sampler(world *w)
{
    (void)w;
    remora_sampler_free(made_sampler);
    made_sampler = NULL;
}

static void new_sampler(world *w)
{
    REQUIRE_OK(create_sampler(w), NULL);
}

static remora_status add_stage(world *w)
{
    const remora_stage s = {
        .struct_size = sizeof s, .kind = REMORA_STAGE_REPEAT, .value = 1.2, .count = 20000};
    (void)w;
    return remora_sampler_add(made_sampler, &s, NULL);
}

static void add_to_ours(world *w)
{
    const remora_stage s = {.struct_size = sizeof s, .kind = REMORA_STAGE_PRESENCE, .value = 0.1};
    (void)w;
    if (made_sampler == NULL) REQUIRE_OK(create_sampler(w), NULL);
    REQUIRE_OK(remora_sampler_add(made_sampler, &s, NULL), NULL);
}

static remora_sampler *cloned;

static remora_status clone_sampler(world *w)
{
    (void)w;
    return remora_sampler_clone(made_sampler, &cloned, NULL);
}

static void free_clone(world *w)
{
    remora_sampler_free(cloned);
    cloned = NULL;
    free_sampler(w);
}

static remora_status tokenize(world *w)
{
    remora_token t[200];
    size_t n;
    static const char text[] = "the other end, and 12 more of the rest: \xc3\xa9\xff the the the";
    const remora_status st = remora_tokenize(w->m, text, sizeof text - 1, 3, t, 200, &n, NULL);
    return st == REMORA_E_UNSUPPORTED ? REMORA_OK : st; /* fixtures have no tokenizer */
}

static const act acts[] = {
    {"session_create", fresh, create_session, free_session, 0},
    {"append", fresh, append_all, eval_and_compare, 0},
    {"append to more", evaluated, append_more, eval_all, 1},
    {"sync", evaluated, sync_more, eval_all, 0},
    {"eval", appended, eval, NULL, 0},
    {"fork", evaluated, fork_session, free_session, 1},
    {"fork of pending", appended, fork_session, free_session, 0},
    {"generate", evaluated, generate, NULL, 0},
    {"generate from pending", appended, generate, NULL, 0},
    {"generate text", evaluated, generate_text, NULL, 0},
    {"generate with drafts", expect_drafts, generate_with_drafts, NULL, 0},
    {"sampler_create", fresh, create_sampler, free_sampler, 0},
    {"sampler_add", new_sampler, add_stage, free_sampler, 0},
    {"sampler_clone", add_to_ours, clone_sampler, free_clone, 0},
    {"tokenize", fresh, tokenize, NULL, 0},
};

/* The k-th allocation of one call fails; then the same call works, and then the session. */
static int try_act(world *w, const act *a, long k, int how)
{
    a->before(w);
    sweep_arm(&w->mem, k, how);
    const remora_status st = a->call(w);
    const int hit = sweep_disarm(&w->mem);
    /* giving room back may fail without anybody noticing */
    if (hit && st < 0 && st != REMORA_E_NOMEM)
        fail_msg("%s, allocation %ld: %s", a->name, k, remora_status_name(st));
    if (!hit && st < 0) fail_msg("%s: %s", a->name, remora_status_name(st));
    if (hit && st < 0) {
        if (a->keeps) sweep_expect(w->s, w->rows, N, a->name, k);
        const remora_status again = a->call(w);
        if (again < 0) fail_msg("%s again after %ld: %s", a->name, k, remora_status_name(again));
    }
    if (a->after != NULL) a->after(w);
    evaluated(w);
    sweep_expect(w->s, w->rows, N, a->name, k);
    return hit;
}

static void all_acts(const remora_source *src, long step, uint32_t session_flags)
{
    world w;
    world_make(&w, src, session_flags);
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
        for (int how = SWEEP_ONE; how <= SWEEP_FROM; how++) {
            evaluated(&w);
            for (long k = 1; try_act(&w, &acts[i], k, how); k += step) {
            }
        }
    world_free(&w);
}

/* Rows and pages of a new session, whose buffers have not grown yet. */
static void new_sessions(void **state)
{
    tiny t;
    world w;
    (void)state;
    tiny_make(&t, NULL);
    world_make(&w, &t.source, 0);
    for (int how = SWEEP_ONE; how <= SWEEP_FROM; how++)
        for (size_t i = 1; i < 9; i++)
            for (long k = 1;; k++) {
                remora_session_free(w.s);
                w.s = host_session(w.m, CAP, REMORA_KV_F32);
                if (!try_act(&w, &acts[i], k, how)) break;
            }
    world_free(&w);
    tiny_free(&t);
}

static void calls(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < N_KINDS; kind++) {
        tiny t;
        tiny_make(&t, &kinds[kind]);
        all_acts(&t.source, 1, 0);
        all_acts(&t.source, 1, REMORA_SESSION_PAGES_AS_NEEDED);
        tiny_free(&t);
    }
}

/* ---- the released layouts ---- */

static void fixtures(void **state)
{
    static const char *const names[] = {"v2-lite",       "v3",    "v2",    "kimi-k2", "moonlight",
                                        "glm4-moe-lite", "qwen2", "llama3"};
    char folder[1024], name[64];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, "fixtures/%s", names[i]);
        assert_true(host_folder(folder, sizeof folder, name));
        const remora_source src = {
            .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = folder};
        (void)sweep_open(&src, 0, SWEEP_ONE, i == 0 ? 1 : 11);
        if (i == 0) (void)sweep_open(&src, 0, SWEEP_FROM, 7);
        all_acts(&src, i == 0 ? 1 : 5, 0);
    }
}

/* With a prediction layer. */
static void krill(void **state)
{
    const act a = {"generate with krill's drafts", expect_drafts, generate_with_drafts, NULL, 0};
    char folder[1024];
    world w;
    (void)state;
    assert_true(host_folder(folder, sizeof folder, "krill"));
    const remora_source src = host_path_source(folder);
    world_make(&w, &src, 0);
    for (int how = SWEEP_ONE; how <= SWEEP_FROM; how++) {
        long k = 1;
        while (try_act(&w, &a, k, how)) k++;
        assert_true(k > 8);
    }
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runtime),
        cmocka_unit_test(opening),
        cmocka_unit_test(opening_anyway),
        cmocka_unit_test(estimate),
        cmocka_unit_test(opening_tiktoken),
        cmocka_unit_test(json),
        cmocka_unit_test(calls),
        cmocka_unit_test(new_sessions),
    };
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(fixtures), cmocka_unit_test(krill)};
    return RUN_GROUPS("failing allocations", tests, model_tests);
}
