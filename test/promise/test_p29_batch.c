/* SPDX-License-Identifier: Apache-2.0 */
/* P29 in batches: sessions that are evaluated together, each with drafts of its own, give and leave
 * behind what they do without: tokens, rows, statuses, timelines, the samplers' next numbers.
 * Sessions come and go, one brings a long prompt, some are forked and trimmed on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "session.h"
#include "tiny.h"

enum { FIRST = 7, MOST = 10, TOKENS = 26, CAP = 256, LONG = 150 };

typedef struct world {
    remora_model *m;
    uint32_t vocab;
} world;

/* The ways in which a host calls eval. */
typedef struct plan {
    const char *name;
    int drains; /* it takes rows that are ahead before it evaluates others */
    uint64_t max_tokens;
    int64_t budget_us;
    int cancel; /* every other call is cancelled before it begins */
    uint32_t chunk;
    int32_t kv;
    uint32_t session_flags;
} plan;

typedef struct draft_plan {
    uint32_t most;
    int hooks; /* drafts of the test, else the library's */
} draft_plan;

/* The tokens and rows that a session gives, and the state that it leaves behind. */
typedef struct record {
    remora_token t[TOKENS + 4];
    size_t n;
    uint64_t row, evaluated, drafts, used;
} record;

typedef struct outcome {
    record of[MOST];
    uint64_t calls; /* a hash of statuses and timelines, call by call, where no clock cuts them */
} outcome;

static outcome plain, drafted;

typedef struct member {
    remora_session *s;
    remora_sampler *p;
    record *r;
    const record *knows;  /* what it will give; NULL: nobody knows */
    int quality;          /* of the test's drafts */
    uint64_t seed, joins; /* that many batches begin before it does */
    uint32_t vocab;
    rmr_drafter drafter;
    int has_branched;
} member;

typedef struct running {
    const world *w;
    const plan *p;
    const draft_plan *d;
    outcome *out;
    member of[MOST]; /* those that are there */
    size_t lead;
    uint64_t calls, batches;
} running;

/* ---- drafts of the test ---- */

enum { RIGHT_85, AT_RANDOM, ALWAYS_WRONG, ALWAYS_RIGHT, LIBRARY, QUALITIES };

static uint32_t guess(void *user, const remora_session *s, remora_token *out, uint32_t most)
{
    member *m = user;
    (void)s;
    for (uint32_t i = 0; i < most; i++) {
        const size_t at = m->r->n + i;
        const uint32_t right = at < m->knows->n ? (uint32_t)m->knows->t[at] : 0,
                       any = host_random(&m->seed) % m->vocab;
        const int is_right = m->quality == ALWAYS_RIGHT ||
                             (m->quality == RIGHT_85 && host_random(&m->seed) % 100 < 85);
        out[i] = (remora_token)(m->quality == ALWAYS_WRONG ? (right + 1) % m->vocab
                                : is_right                 ? right
                                                           : any);
    }
    return most;
}

static uint64_t any_time(void *user, uint32_t rows)
{
    member *m = user;
    return host_random(&m->seed) % 4 == 0 ? host_random(&m->seed) : 1000 + 100 * (uint64_t)rows;
}

static void give_drafts(running *r, member *m)
{
    const int hook = r->d->hooks && m->quality != LIBRARY && m->knows != NULL;
    m->drafter =
        (rmr_drafter){m, hook ? guess : NULL, r->d->most == REMORA_DRAFTS_AUTO ? any_time : NULL};
    m->s->drafter = &m->drafter;
}

/* ---- sessions ---- */

static remora_sampler *sampler_of(const world *w, size_t i)
{
    static const double temperature[] = {0, 1, .7, 0, 1.2, .5, 1};
    const remora_stage st = {.struct_size = sizeof st,
                             .kind = REMORA_STAGE_TEMPERATURE,
                             .value = temperature[i % FIRST]},
                       repeat = {.struct_size = sizeof repeat,
                                 .kind = REMORA_STAGE_REPEAT,
                                 .value = 1.2,
                                 .count = 16};
    remora_error err = HOST_ERROR;
    remora_sampler *p;
    REQUIRE_OK(remora_sampler_create(w->m, 11 + i, &p, &err), &err);
    if (i == 2) REQUIRE_OK(remora_sampler_add(p, &repeat, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &st, &err), &err);
    if (i != 3 && i != 4) return p;
    const remora_constraint_opts o = {
        .struct_size = sizeof o,
        .kind = REMORA_CONSTRAINT_REGEX,
        .source = host_text(i == 3 ? "(ab|cd|, the same; ){40}" : "[a-z ]{200}")};
    remora_constraint *c;
    REQUIRE_OK(remora_constraint_create(w->m, &o, &c, &err), &err);
    REQUIRE_OK(remora_sampler_constrain(p, c, &err), &err);
    remora_constraint_free(c);
    return p;
}

/* Prompts of all lengths; something in them can be found again. One is long. */
static void join(running *r, size_t i)
{
    const remora_session_opts so = {.struct_size = sizeof so,
                                    .flags = r->p->session_flags,
                                    .capacity = CAP,
                                    .chunk = r->p->chunk,
                                    .kv_type = r->p->kv};
    remora_error err = HOST_ERROR;
    remora_token ids[LONG];
    member *m = &r->of[i];
    const size_t n = i == 5 ? LONG : 5 + 9 * i;
    *m = (member){.r = &r->out->of[i],
                  .knows = r->out == &plain ? NULL : &plain.of[i],
                  .quality = (int)i % QUALITIES,
                  .seed = i,
                  .joins = i < 4 ? 0 : 4 * (i - 3),
                  .vocab = r->w->vocab,
                  .p = sampler_of(r->w, i)};
    host_ids(ids, n, r->w->vocab, 4 + i);
    for (size_t k = n / 2; k < n; k++) ids[k] = ids[k - n / 2];
    REQUIRE_OK(remora_session_create(r->w->m, &so, &m->s, &err), &err);
    REQUIRE_OK(remora_session_append(m->s, ids, n, REMORA_WANT_LAST, &err), &err);
    give_drafts(r, m);
}

static int is_in(const running *r, const member *m)
{
    return m->s != NULL && m->r->n < TOKENS && m->joins <= r->batches;
}

/* At some of its tokens a session is forked, or loses what it has and goes on elsewhere. */
static void branch(running *r, member *m)
{
    const size_t i = (size_t)(m - r->of);
    const remora_token word[] = {'a', 'b', ' '};
    remora_error err = HOST_ERROR;
    if (m->has_branched || m->r->n != 8 + i) return;
    m->has_branched = 1;
    if (i % 2 == 0 && i < 6) {
        member *f = &r->of[FIRST + i / 2];
        *f = *m;
        f->r = &r->out->of[FIRST + i / 2];
        f->knows = m->knows == NULL ? NULL : &plain.of[FIRST + i / 2];
        *f->r = *m->r;
        f->quality = (m->quality + 1) % QUALITIES;
        REQUIRE_OK(remora_session_fork(m->s, &f->s, &err), &err);
        REQUIRE_OK(remora_sampler_clone(m->p, &f->p, &err), &err);
        give_drafts(r, f);
    } else if (i % 2 == 1) {
        REQUIRE_OK(remora_session_trim(m->s, m->s->n_tokens - 4, &err), &err);
        REQUIRE_OK(remora_session_append(m->s, word, 3, REMORA_WANT_LAST, &err), &err);
    }
}

/* The session has its row: pick a token. */
static void advance(running *r, member *m)
{
    remora_error err = HOST_ERROR;
    remora_token t;
    const uint32_t row = host_session_info(m->s).n_rows - 1;
    REQUIRE_OK(remora_sampler_pick(m->p, m->s, row, &t, &err), &err);
    REQUIRE_OK(remora_sampler_accept(m->p, t, &err), &err);
    REQUIRE_OK(remora_session_append(m->s, &t, 1, REMORA_WANT_LAST, &err), &err);
    m->r->t[m->r->n++] = t;
    branch(r, m);
}

static int is_ready(const member *m)
{
    return m->s->committed == m->s->n_tokens;
}

static remora_eval_opts opts_of(const running *r, const int32_t *cancel)
{
    return (remora_eval_opts){.struct_size = sizeof(remora_eval_opts),
                              .budget_us = r->p->budget_us,
                              .max_tokens = r->p->max_tokens,
                              .cancel = cancel,
                              .max_drafts = r->d->most};
}

static void note(running *r, uint64_t what)
{
    r->out->calls = (r->out->calls ^ what) * 1099511628211u;
}

/* One session alone, while a step with it may be under way. */
static void eval_alone(running *r, int64_t budget_us)
{
    remora_eval_opts o = opts_of(r, NULL);
    remora_error err = HOST_ERROR;
    member *m = &r->of[r->calls / 7 % MOST];
    o.budget_us = budget_us;
    if (!is_in(r, m)) return;
    REQUIRE(remora_eval(&m->s, 1, &o, &err) >= 0);
}

static void eval_batch(running *r)
{
    const int32_t cancel = r->p->cancel && r->calls % 2 == 0;
    const remora_eval_opts o = opts_of(r, &cancel);
    remora_error err = HOST_ERROR;
    remora_session *list[MOST];
    size_t n = 0;
    for (size_t k = 0; k < MOST; k++) {
        member *m = &r->of[(r->lead + k) % MOST];
        if (is_in(r, m)) list[n++] = m->s;
    }
    if (r->p->budget_us > 0 && r->calls % 150 == 75) eval_alone(r, 0);
    if (r->p->budget_us > 0 && r->calls % 150 == 20) eval_alone(r, 1);
    const remora_status st = remora_eval(list, n, &o, &err);
    r->calls++;
    if (st < 0 && st != REMORA_E_CANCELLED) fail_msg("%s: %s", r->p->name, err.message);
    if (cancel && n > 0) assert_int_equal(st, REMORA_E_CANCELLED);
    const int is_cut = r->p->budget_us > 0 && st == REMORA_MORE;
    r->batches += st >= 0 && !is_cut;
    if (!is_cut) r->lead++;
    if (r->p->budget_us > 0 || r->p->drains) return;
    note(r, (uint64_t)st);
    for (size_t i = 0; i < MOST; i++) {
        if (r->of[i].s == NULL) continue;
        const remora_session_info info = host_session_info(r->of[i].s);
        note(r, info.committed);
        note(r, info.pending);
        note(r, info.n_rows);
        note(r, info.kv_bytes);
    }
}

/* Sessions that have their row get a token; with a host that drains as many as are ahead. */
static void advance_all(running *r)
{
    static const remora_eval_opts ahead = {.struct_size = sizeof ahead, .flags = REMORA_EVAL_AHEAD};
    for (size_t i = 0; i < MOST; i++) {
        member *m = &r->of[i];
        if (!is_in(r, m) || !is_ready(m)) continue;
        do advance(r, m);
        while (r->p->drains && m->r->n < TOKENS &&
               remora_eval(&m->s, 1, &ahead, NULL) == REMORA_OK);
    }
}

static int any_in(const running *r)
{
    for (size_t i = 0; i < MOST; i++)
        if (r->of[i].s != NULL && r->of[i].r->n < TOKENS) return 1;
    return 0;
}

static uint64_t hash(const void *p, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * 1099511628211u;
    return h;
}

/* The row and the numbers that come next. */
static void look_behind(const world *w, member *m)
{
    const remora_stage any = {
        .struct_size = sizeof any, .kind = REMORA_STAGE_TEMPERATURE, .value = 1};
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_eval(&m->s, 1, NULL, &err), &err);
    float *rows = host_rows(m->s, 1);
    m->r->row = hash(rows, w->vocab * sizeof *rows);
    REQUIRE_OK(remora_sampler_constrain(m->p, NULL, &err), &err);
    REQUIRE_OK(remora_sampler_add(m->p, &any, &err), &err);
    for (int i = 0; i < 4; i++)
        REQUIRE_OK(remora_sampler_pick_from(m->p, rows, w->vocab, &m->r->t[m->r->n++], &err), &err);
    m->r->evaluated = m->s->stats.decode_tokens + m->s->stats.prefill_tokens;
    m->r->drafts = m->s->stats.drafts;
    m->r->used = m->s->stats.drafts_used;
    free(rows);
    remora_session_free(m->s);
    remora_sampler_free(m->p);
}

static void run(const world *w, const plan *p, const draft_plan *d, outcome *out)
{
    static running r;
    r = (running){.w = w, .p = p, .d = d, .out = out};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < FIRST; i++) join(&r, i);
    while (any_in(&r)) {
        if (r.batches < 40 && r.p->drains)
            r.batches++; /* all come, however few batches there are */
        eval_batch(&r);
        advance_all(&r);
    }
    for (size_t i = 0; i < MOST; i++)
        if (r.of[i].s != NULL) look_behind(w, &r.of[i]);
    assert_true(r.of[MOST - 1].s != NULL);
}

static void same(const plan *p, const draft_plan *d)
{
    for (size_t i = 0; i < MOST; i++) {
        const record *a = &plain.of[i], *b = &drafted.of[i];
        if (a->n != b->n || memcmp(a->t, b->t, sizeof a->t) != 0)
            fail_msg("%s, %u drafts: session %zu has other tokens", p->name, d->most, i);
        if (a->row != b->row)
            fail_msg("%s, %u drafts: session %zu has another row", p->name, d->most, i);
        if (p->budget_us == 0 && a->evaluated != b->evaluated)
            fail_msg("%s, %u drafts: session %zu has evaluated other numbers of tokens", p->name,
                     d->most, i);
    }
    if (plain.calls != drafted.calls)
        fail_msg("%s, %u drafts: other statuses or timelines", p->name, d->most);
}

static uint64_t sum_used(void)
{
    uint64_t n = 0;
    for (size_t i = 0; i < MOST; i++) n += drafted.of[i].used;
    return n;
}

static const draft_plan none = {0, 0};
static const draft_plan ways[] = {
    {1, 1}, {4, 1}, {30, 1}, {30, 0}, {REMORA_DRAFTS_AUTO, 1}, {REMORA_DRAFTS_AUTO, 0}};

static void compare(const world *w, const plan *p)
{
    run(w, p, &none, &plain);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        run(w, p, &ways[i], &drafted);
        same(p, &ways[i]);
        if (ways[i].most <= 30 && ways[i].hooks) assert_true(sum_used() > 20);
    }
}

static void on_model(const tiny_opts *o, const plan *p, size_t n)
{
    tiny files;
    tiny_make(&files, o);
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    world w = {.m = host_open(rt, &files.source)};
    w.vocab = host_vocab(w.m);
    for (size_t i = 0; i < n; i++) compare(&w, &p[i]);
    remora_model_free(w.m);
    remora_runtime_free(rt);
    tiny_free(&files);
}

/* ---- tests ---- */

static void all_models(void **state)
{
    static const tiny_opts kinds[] = {{0}, {.v2 = 1}, {.dense = "qwen2"}};
    const plan p[] = {{.name = "one by one"}, {.name = "ahead first", .drains = 1}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) on_model(&kinds[i], p, 2);
}

static void cut_by_hosts(void **state)
{
    const plan p[] = {
        {.name = "max_tokens", .max_tokens = 3},
        {.name = "max_tokens, ahead first", .max_tokens = 5, .drains = 1},
        {.name = "cancel", .cancel = 1},
        {.name = "cancel and max_tokens", .cancel = 1, .max_tokens = 2},
    };
    (void)state;
    on_model(&(tiny_opts){0}, p, sizeof p / sizeof *p);
}

static void cut_by_clocks(void **state)
{
    const plan p[] = {
        {.name = "budget", .budget_us = 1},
        {.name = "budget, ahead first", .budget_us = 40, .drains = 1},
    };
    (void)state;
    on_model(&(tiny_opts){0}, p, sizeof p / sizeof *p);
}

static void kinds_of_sessions(void **state)
{
    const plan p[] = {
        {.name = "small chunk", .chunk = 8},
        {.name = "small chunk, ahead first", .chunk = 11, .drains = 1},
        {.name = "8 bits", .kv = REMORA_KV_INT8, .drains = 1},
        {.name = "pages as needed", .session_flags = REMORA_SESSION_PAGES_AS_NEEDED, .drains = 1},
    };
    (void)state;
    on_model(&(tiny_opts){0}, p, sizeof p / sizeof *p);
}

/* krill drafts with its own prediction layer. */
static void prediction_layer(void **state)
{
    static const draft_plan with[] = {{2, 0}, {30, 0}, {REMORA_DRAFTS_AUTO, 0}};
    const plan p[] = {
        {.name = "layer"},
        {.name = "layer, ahead first", .drains = 1},
        {.name = "layer, max_tokens", .max_tokens = 4},
        {.name = "layer, budget", .budget_us = 300, .drains = 1},
    };
    char folder[4096];
    (void)state;
    if (!host_folder(folder, sizeof folder, "krill")) fail_msg("krill is not there");
    const remora_source src = host_path_source(folder);
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    world w = {.m = host_open(rt, &src)};
    w.vocab = host_vocab(w.m);
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) {
        plan layer = p[i];
        run(&w, &layer, &none, &plain);
        layer.session_flags = REMORA_SESSION_PREDICTION;
        for (size_t k = 0; k < sizeof with / sizeof *with; k++) {
            run(&w, &layer, &with[k], &drafted);
            same(&layer, &with[k]);
            if (with[k].most == 2) assert_true(sum_used() > 10);
        }
    }
    remora_model_free(w.m);
    remora_runtime_free(rt);
}

static uint32_t sevens(void *user, const remora_session *s, remora_token *out, uint32_t most)
{
    (void)user;
    (void)s;
    for (uint32_t i = 0; i < most; i++) out[i] = 7;
    return most;
}

static remora_status eval_one(remora_session *s, uint32_t flags, uint32_t max_drafts)
{
    const remora_eval_opts o = {.struct_size = sizeof o, .flags = flags, .max_drafts = max_drafts};
    return remora_eval(&s, 1, &o, NULL);
}

static void append(remora_session *s, remora_token t)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_append(s, &t, 1, REMORA_WANT_LAST, &err), &err);
}

/* Options of eval: refused numbers of drafts, rows that are ahead, and rows that are not. */
static void options(void **state)
{
    static const rmr_drafter drafter = {NULL, sevens, NULL};
    remora_error err = HOST_ERROR;
    tiny files;
    (void)state;
    tiny_make(&files, NULL);
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    remora_model *m = host_open(rt, &files.source);
    remora_session *s = host_session(m, 64, REMORA_KV_BF16);
    const remora_eval_opts bad = {.struct_size = sizeof bad, .max_drafts = 31},
                           odd = {.struct_size = sizeof odd, .flags = 2},
                           newer = {.struct_size = sizeof newer, .reserved = 1};
    assert_int_equal(remora_eval(&s, 1, &bad, &err), REMORA_E_ARG);
    assert_non_null(strstr(err.message, "31"));
    assert_int_equal(remora_eval(&s, 1, &odd, &err), REMORA_E_STRUCT);
    assert_int_equal(remora_eval(&s, 1, &newer, &err), REMORA_E_STRUCT);
    s->drafter = &drafter;
    append(s, 5);
    assert_int_equal(eval_one(s, REMORA_EVAL_AHEAD, 3), REMORA_MORE);
    assert_int_equal(s->committed, 0);
    assert_int_equal(eval_one(s, 0, 3), REMORA_OK);
    assert_int_equal(s->stats.drafts, 3);
    assert_int_equal(eval_one(s, REMORA_EVAL_AHEAD, 0), REMORA_OK); /* nothing is pending */
    append(s, 7);
    assert_int_equal(eval_one(s, REMORA_EVAL_AHEAD, 0), REMORA_OK);
    append(s, 8);
    assert_int_equal(eval_one(s, REMORA_EVAL_AHEAD, 0), REMORA_MORE);
    assert_int_equal(s->stats.drafts_used, 1);
    assert_int_equal(s->committed, 2);
    remora_session_free(s);
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options),           cmocka_unit_test(all_models),
        cmocka_unit_test(cut_by_hosts),      cmocka_unit_test(cut_by_clocks),
        cmocka_unit_test(kinds_of_sessions),
    };
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(prediction_layer)};
    return RUN_GROUPS("p29 in batches", tests, model_tests);
}
