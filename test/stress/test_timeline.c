/* SPDX-License-Identifier: Apache-2.0 */
/* Random lives of sessions against an oracle. Sessions are appended to, trimmed, synced, forked,
 * batched, evaluated in whole, in slices, in tokens and until a cancel, in any order. What the
 * oracle knows of a session is the list of its appends and trims: a new session that is given that
 * list and evaluated once must have the same tokens and the same logits, to the bit. Argument, if
 * any: how many lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { CAP = 150, MAX_LOG = 512, MAX_LIVES = 5, STEPS = 60 };

static int n_lives = 12;

typedef struct entry {
    int is_trim;
    size_t n; /* tokens appended, or kept */
    remora_token t[CAP];
} entry;

typedef struct life {
    remora_session *s;
    entry *log;
    size_t n_log;
    uint64_t n_tokens, committed;
    uint8_t wanted[CAP]; /* this token has a row, ready or to come */
} life;

typedef struct world {
    remora_model *m;
    int32_t kv_type;
    uint64_t seed;
    life *lives[MAX_LIVES];
    size_t n;
} world;

static uint32_t dice(world *w, uint32_t n)
{
    return host_random(&w->seed) % n;
}

static remora_session *new_session(world *w, uint32_t chunk)
{
    remora_error err = HOST_ERROR;
    const remora_session_opts o = {
        .struct_size = sizeof o, .capacity = CAP, .chunk = chunk, .kv_type = w->kv_type};
    remora_session *s = NULL;
    REQUIRE_OK(remora_session_create(w->m, &o, &s, &err), &err);
    return s;
}

static life *new_life(remora_session *s)
{
    life *l = calloc(1, sizeof *l);
    REQUIRE(l != NULL);
    l->s = s;
    l->log = calloc(MAX_LOG, sizeof *l->log);
    REQUIRE(l->log != NULL);
    return l;
}

static void end_life(life *l)
{
    remora_session_free(l->s);
    free(l->log);
    free(l);
}

/* ---- what the oracle expects ---- */

static void note_append(life *l, const remora_token *t, size_t n, uint32_t want)
{
    entry *e = &l->log[l->n_log++];
    if (n == 0) {
        l->n_log--;
        return;
    }
    *e = (entry){.n = n};
    memcpy(e->t, t, n * sizeof *t);
    if (l->n_tokens == l->committed) memset(l->wanted, 0, sizeof l->wanted);
    for (size_t i = 0; i < n; i++)
        l->wanted[l->n_tokens + i] = want == REMORA_WANT_ALL || (want != 0 && i + 1 == n);
    l->n_tokens += n;
}

static void note_trim(life *l, uint64_t keep)
{
    l->log[l->n_log++] = (entry){.is_trim = 1, .n = (size_t)keep};
    if (l->committed > keep) l->committed = keep;
    for (uint64_t i = 0; i < CAP; i++)
        if (i >= keep) l->wanted[i] = 0;
    l->n_tokens = keep;
}

/* The logits of all tokens of a life, by one evaluation of a new session. */
static float *oracle(world *w, const life *l)
{
    remora_error err = HOST_ERROR;
    remora_session *s = new_session(w, 0);
    for (size_t i = 0; i < l->n_log; i++)
        if (l->log[i].is_trim)
            REQUIRE_OK(remora_session_trim(s, l->log[i].n, NULL), NULL);
        else
            REQUIRE_OK(remora_session_append(s, l->log[i].t, l->log[i].n, REMORA_WANT_ALL, NULL),
                       NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    float *rows = host_rows(s, (uint32_t)l->n_tokens);
    remora_session_free(s);
    return rows;
}

static void check_rows(world *w, const life *l)
{
    uint32_t row = 0;
    float *all = oracle(w, l);
    for (uint64_t i = 0; i < l->committed; i++) {
        const float *got;
        if (!l->wanted[i]) continue;
        REQUIRE(remora_session_logits(l->s, row++, &got, NULL, NULL) == REMORA_OK);
        REQUIRE(memcmp(got, all + i * TINY_TEXT_VOCAB, TINY_TEXT_VOCAB * sizeof *got) == 0);
    }
    free(all);
}

static void check(world *w, const life *l, int logits)
{
    remora_token t[CAP];
    size_t n;
    uint32_t ready = 0;
    remora_session_info i = {.struct_size = sizeof i};
    REQUIRE(remora_session_get_info(l->s, &i, NULL) == REMORA_OK);
    REQUIRE(i.committed == l->committed && i.committed + i.pending == l->n_tokens);
    for (uint64_t k = 0; k < l->committed; k++) ready += l->wanted[k];
    REQUIRE(i.n_rows == ready);
    REQUIRE(remora_session_tokens(l->s, 0, t, CAP, &n, NULL) == REMORA_OK && n == l->n_tokens);
    for (size_t k = l->n_log; k-- > 0 && !l->log[k].is_trim && n > 0;) { /* the last appends */
        n -= l->log[k].n;
        REQUIRE(memcmp(t + n, l->log[k].t, l->log[k].n * sizeof *t) == 0);
    }
    if (logits && ready > 0) check_rows(w, l);
}

/* ---- what happens in a life ---- */

static void append(world *w, life *l)
{
    static const uint32_t wants[] = {REMORA_WANT_NONE, REMORA_WANT_LAST, REMORA_WANT_ALL};
    remora_token t[CAP];
    const size_t n = dice(w, 3) ? 1 + dice(w, 8) : 30 + dice(w, 20);
    const uint32_t want = wants[dice(w, 3)];
    host_ids(t, n, TINY_TEXT_VOCAB, host_random(&w->seed));
    const remora_status st = remora_session_append(l->s, t, n, want, NULL);
    if (l->n_tokens + n > CAP) {
        REQUIRE(st == REMORA_E_FULL);
        return;
    }
    REQUIRE_OK(st, NULL);
    note_append(l, t, n, want);
}

static void trim(world *w, life *l)
{
    const uint64_t keep = l->n_tokens - dice(w, (uint32_t)(l->n_tokens / (1 + dice(w, 4))) + 1);
    REQUIRE_OK(remora_session_trim(l->s, keep, NULL), NULL);
    note_trim(l, keep);
}

/* To a list that shares a prefix and then differs in its first token. */
static void sync(world *w, life *l)
{
    remora_token t[CAP];
    size_t n, reused;
    REQUIRE(remora_session_tokens(l->s, 0, t, CAP, &n, NULL) == REMORA_OK);
    if (n == 0) return;
    const size_t keep = dice(w, (uint32_t)n), more = 1 + dice(w, 40);
    if (keep + more > CAP) return;
    const remora_token before = t[keep];
    host_ids(t + keep, more, TINY_TEXT_VOCAB, host_random(&w->seed));
    if (t[keep] == before) t[keep] = (before + 1) % TINY_TEXT_VOCAB;
    REQUIRE_OK(remora_session_sync(l->s, t, keep + more, REMORA_WANT_LAST, &reused, NULL), NULL);
    REQUIRE(reused == (keep < l->committed ? keep : l->committed));
    note_trim(l, keep);
    note_append(l, t + keep, more, REMORA_WANT_LAST);
}

static void fork_life(world *w, life *l)
{
    remora_session *s = NULL;
    remora_error err = HOST_ERROR;
    if (w->n == MAX_LIVES) return;
    REQUIRE_OK(remora_session_fork(l->s, &s, &err), &err);
    life *f = new_life(s);
    entry *log = f->log;
    memcpy(log, l->log, l->n_log * sizeof *log);
    *f = *l;
    f->s = s;
    f->log = log;
    w->lives[w->n++] = f;
}

/* Some of the lives, in some order, in one call that may end early. */
static void eval(world *w)
{
    remora_session *s[MAX_LIVES];
    life *in[MAX_LIVES];
    int32_t word = 0;
    remora_eval_opts o = {.struct_size = sizeof o, .cancel = &word};
    const size_t n = 1 + dice(w, (uint32_t)w->n), first = dice(w, (uint32_t)w->n);
    for (size_t i = 0; i < n; i++) {
        in[i] = w->lives[(first + i) % w->n];
        s[i] = in[i]->s;
    }
    switch (dice(w, 5)) {
    case 0: o.budget_us = 1; break;
    case 1: o.max_tokens = 1 + dice(w, 40); break;
    case 2: word = 1; break;
    default: break;
    }
    const remora_status st = remora_eval(s, n, &o, NULL);
    REQUIRE(st == REMORA_OK || st == (word ? REMORA_E_CANCELLED : REMORA_MORE));
    for (size_t i = 0; i < n; i++) {
        remora_session_info info = {.struct_size = sizeof info};
        REQUIRE(remora_session_get_info(s[i], &info, NULL) == REMORA_OK);
        REQUIRE(info.committed >= in[i]->committed && info.committed <= in[i]->n_tokens);
        if (st == REMORA_OK) REQUIRE(info.pending == 0);
        in[i]->committed = info.committed;
    }
}

static void generate(world *w, life *l)
{
    remora_error err = HOST_ERROR;
    remora_sampler *p = NULL;
    remora_token out[4];
    size_t n;
    const remora_gen_opts g = {.struct_size = sizeof g, .max_tokens = 1 + dice(w, 4)};
    if (l->n_tokens == 0 || l->n_tokens + 4 > CAP) return;
    REQUIRE_OK(remora_sampler_create(w->m, host_random(&w->seed), &p, &err), &err);
    REQUIRE(remora_generate(l->s, p, &g, out, 4, &n, &err) == REMORA_END && n >= 1);
    remora_sampler_free(p);
    for (size_t i = 0; i < n; i++) {
        l->committed = l->n_tokens;
        note_append(l, &out[i], 1, REMORA_WANT_LAST);
    }
}

static void step(world *w)
{
    const size_t k = dice(w, (uint32_t)w->n);
    life *l = w->lives[k];
    if (l->n_log + 8 > MAX_LOG) return;
    switch (dice(w, 14)) {
    case 0:
    case 1:
    case 2:
    case 3: append(w, l); break;
    case 4: trim(w, l); break;
    case 5: sync(w, l); break;
    case 6: fork_life(w, l); break;
    case 7: generate(w, l); break;
    case 8:
        if (w->n < 2) break;
        end_life(l);
        w->lives[k] = w->lives[--w->n];
        break;
    default: eval(w); break;
    }
    for (size_t i = 0; i < w->n; i++) check(w, w->lives[i], dice(w, 4) == 0);
}

static void live(const tiny *t, int32_t kv_type, uint64_t seed)
{
    static const uint32_t chunks[] = {0, 1, 7, 40};
    tmem mem = {0};
    remora_runtime *rt = host_runtime(&mem, 1 + (int32_t)(seed % 3), NULL);
    world w = {.m = host_open(rt, &t->source), .kv_type = kv_type, .seed = seed};
    for (size_t i = 0; i < 2; i++) w.lives[w.n++] = new_life(new_session(&w, chunks[dice(&w, 4)]));
    for (int i = 0; i < STEPS; i++) step(&w);
    remora_model_free(w.m);
    while (w.n > 0) end_life(w.lives[--w.n]);
    remora_runtime_free(rt);
    REQUIRE(atomic_load(&mem.bytes) == 0 && atomic_load(&mem.damage) == 0);
}

static void lives(void **state)
{
    tiny t[3];
    (void)state;
    tiny_make(&t[0], NULL);
    tiny_make(&t[1], &(tiny_opts){.v2 = 1, .layers = 2});
    tiny_make(&t[2], &(tiny_opts){.dense = "qwen2", .layers = 2});
    for (int i = 0; i < n_lives; i++)
        live(&t[i % 3],
             i % 4 == 0                 ? REMORA_KV_BF16
             : i % 4 == 1 && i % 3 != 2 ? REMORA_KV_INT8
                                        : REMORA_KV_F32,
             (uint64_t)i + 1);
    for (int i = 0; i < 3; i++) tiny_free(&t[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lives)};
    if (argc > 1) n_lives = atoi(argv[1]);
    if (n_lives < 1) return 2;
    return cmocka_run_group_tests_name("timelines", tests, NULL, NULL);
}
