/* SPDX-License-Identifier: Apache-2.0 */
/* P29: drafts change no token. What a generation gives and leaves behind (tokens, probabilities,
 * statuses, the timeline, the rows, the sampler's next numbers) is the same to the bit with drafts
 * of any quality and without, however calls are cut. Sources of drafts: the library's own; one that
 * knows what will come and is right with a given chance; one that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "session.h"
#include "tiny.h"

enum { CAP = 192, PROMPT = 40, BEST = 2 };

typedef struct world {
    tiny t;
    remora_runtime *rt;
    remora_model *m;
    uint32_t vocab;
    uint64_t seed; /* of the prompt; behind that of 4 the box ends its text at once */
} world;

/* What a sampler has, how calls are cut, where drafts come from. */
typedef struct plan {
    const char *name;
    double temperature, repeat, frequency, presence, bias;
    int callback; /* a stage of the host's */
    int hidden;   /* between calls the host asks for the hidden state of the last token */
    int counts;   /* routing is counted: nothing is drafted */
    const char *regex;
    const char *stop;
    uint64_t max_tokens;
    size_t cap;        /* of a call */
    int64_t budget_us; /* of a call */
    int cancel;        /* every other call is cancelled before it begins */
    int probs, text, host_evals;
    int forks, trims; /* after so many calls, a generation of the fork, one after a trim */
    uint32_t chunk;
    int32_t kv;
    uint32_t session_flags;
    uint32_t ceiling; /* 1: in bytes, of what is in use before the first token; each one more allows
                         a row of logits more; 0: none */
} plan;

typedef struct draft_plan {
    uint32_t most; /* or DRAFTS_AUTO, with a clock that says anything */
    int chance;    /* of being right, in 100; below 0: the library's drafts */
} draft_plan;

typedef struct outcome {
    remora_token t[4 * CAP];
    remora_token_prob probs[4 * CAP * (1 + BEST)];
    char text[16 * CAP];
    size_t n, n_text, n_states;
    uint64_t states[4 * CAP][4]; /* what the session says after each call that no clock has cut */
    remora_status last;
    uint64_t row;            /* a hash of the one behind it */
    uint64_t hidden, counts; /* hashes of hidden states, of how often experts were used */
    uint64_t drafts, used, decoded;
} outcome;

static outcome plain, drafted;
static const char *box; /* the pack that comes with the repository */

/* ---- a source of drafts ---- */

typedef struct guesser {
    const outcome *knows;
    uint64_t first; /* position of the first token it knows */
    int chance;
    uint64_t seed;
    uint32_t vocab, calls;
} guesser;

static uint32_t guess(void *user, const remora_session *s, remora_token *out, uint32_t most)
{
    guesser *g = user;
    const uint64_t at = s->n_tokens - g->first;
    g->calls++;
    for (uint32_t i = 0; i < most; i++) {
        const int right = (int)(host_random(&g->seed) % 100) < g->chance;
        const uint32_t any = host_random(&g->seed) % g->vocab;
        out[i] = right && at + i < g->knows->n ? g->knows->t[at + i] : (remora_token)any;
    }
    return most;
}

static uint64_t any_time(void *user, uint32_t rows)
{
    guesser *g = user;
    return host_random(&g->seed) % 4 == 0 ? host_random(&g->seed) : 1000 + 100 * (uint64_t)rows;
}

/* ---- a generation ---- */

typedef struct running {
    const world *w;
    const plan *p;
    const draft_plan *d;
    remora_session *s;
    remora_sampler *sampler;
    outcome *out;
} running;

/* A host that likes some tokens less, and forbids others. */
static remora_status REMORA_CALL host_stage(void *user, remora_token_prob *cand, size_t *n)
{
    size_t kept = 0;
    (void)user;
    for (size_t i = 0; i < *n; i++) {
        if (cand[i].token % 7 == 0) continue;
        cand[kept] = cand[i];
        if (cand[kept++].token % 3 == 0) cand[kept - 1].logit -= .5F;
    }
    *n = kept;
    return REMORA_OK;
}

static void add_stage(remora_sampler *p, int32_t kind, double value)
{
    const int64_t count = kind == REMORA_STAGE_REPEAT ? 16 : kind == REMORA_STAGE_BIAS ? 'e' : 0;
    const remora_stage st = {.struct_size = sizeof st,
                             .kind = kind,
                             .value = value,
                             .count = count,
                             .fn = kind == REMORA_STAGE_CALLBACK ? host_stage : NULL};
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_sampler_add(p, &st, &err), &err);
}

static remora_sampler *sampler_of(const world *w, const plan *p)
{
    remora_error err = HOST_ERROR;
    remora_sampler *s;
    REQUIRE_OK(remora_sampler_create(w->m, 11, &s, &err), &err);
    if (p->repeat > 0) add_stage(s, REMORA_STAGE_REPEAT, p->repeat);
    if (p->frequency > 0) add_stage(s, REMORA_STAGE_FREQUENCY, p->frequency);
    if (p->presence > 0) add_stage(s, REMORA_STAGE_PRESENCE, p->presence);
    if (p->bias > 0) add_stage(s, REMORA_STAGE_BIAS, p->bias);
    if (p->callback) add_stage(s, REMORA_STAGE_CALLBACK, 0);
    add_stage(s, REMORA_STAGE_TEMPERATURE, p->temperature);
    if (p->regex == NULL) return s;
    const remora_constraint_opts o = {
        .struct_size = sizeof o, .kind = REMORA_CONSTRAINT_REGEX, .source = host_text(p->regex)};
    remora_constraint *c;
    REQUIRE_OK(remora_constraint_create(w->m, &o, &c, &err), &err);
    REQUIRE_OK(remora_sampler_constrain(s, c, &err), &err);
    remora_constraint_free(c);
    return s;
}

static void note_state(running *r)
{
    const remora_session_info i = host_session_info(r->s);
    uint64_t *state = r->out->states[r->out->n_states++];
    state[0] = i.committed;
    state[1] = i.pending;
    state[2] = i.n_rows;
    state[3] = i.kv_bytes;
}

static remora_status call(running *r, int32_t cancel)
{
    const plan *p = r->p;
    outcome *o = r->out;
    const remora_text stop = host_text(p->stop);
    const remora_gen_opts opts = {.struct_size = sizeof opts,
                                  .budget_us = p->budget_us,
                                  .max_tokens = p->max_tokens,
                                  .stop = &stop,
                                  .n_stop = p->stop != NULL,
                                  .cancel = &cancel,
                                  .probs = p->probs ? o->probs + o->n * (1 + BEST) : NULL,
                                  .n_best = p->probs ? BEST : 0,
                                  .max_drafts = r->d->most};
    remora_error err = HOST_ERROR;
    size_t n = 0, n_text = 0;
    remora_status st;
    if (p->text)
        st = remora_generate_text(r->s, r->sampler, &opts, o->text + o->n_text,
                                  sizeof o->text - o->n_text, &n_text, o->t + o->n, p->cap, &n,
                                  &err);
    else
        st = remora_generate(r->s, r->sampler, &opts, o->t + o->n, p->cap, &n, &err);
    o->n += n;
    o->n_text += n_text;
    if (cancel && st != REMORA_E_CANCELLED && n == 0)
        fail_msg("%s: a cancelled call says %s", p->name, remora_status_name(st));
    if (st < 0 && st != REMORA_E_CANCELLED && st != REMORA_E_FULL)
        fail_msg("%s: %s", p->name, err.message);
    return st;
}

static uint64_t hash(const void *p, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * 1099511628211u;
    return h;
}

/* The last token is appended once more, with its hidden state. */
static void look_at_hidden(running *r)
{
    remora_error err = HOST_ERROR;
    outcome *o = r->out;
    float h[256];
    size_t n = 0;
    const uint64_t end = r->s->n_tokens;
    if (o->n == 0 || end == CAP) return;
    const uint32_t want = REMORA_WANT_LAST | REMORA_WANT_HIDDEN;
    REQUIRE_OK(remora_session_trim(r->s, end - 1, &err), &err);
    REQUIRE_OK(remora_session_append(r->s, &o->t[o->n - 1], 1, want, &err), &err);
    REQUIRE_OK(remora_eval(&r->s, 1, NULL, &err), &err);
    REQUIRE_OK(remora_session_hidden(r->s, 0, h, 256, &n, &err), &err);
    o->hidden = o->hidden * 31 + hash(h, n * sizeof *h);
}

static void generate(running *r)
{
    remora_status st = REMORA_MORE;
    for (int i = 0; st == REMORA_MORE || st == REMORA_E_CANCELLED; i++) {
        assert_true(r->out->n + CAP < 4 * CAP);
        st = call(r, r->p->cancel && i % 2 == 0);
        if (r->p->budget_us == 0 && st != REMORA_E_CANCELLED) note_state(r);
        if (r->p->hidden && st == REMORA_MORE) look_at_hidden(r);
        if (r->p->host_evals && st >= 0) REQUIRE_OK(remora_eval(&r->s, 1, NULL, NULL), NULL);
    }
    r->out->last = st;
    note_state(r);
}

/* The row and the numbers that come next. */
static void look_behind(running *r)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_eval(&r->s, 1, NULL, &err), &err);
    float *rows = host_rows(r->s, 1);
    r->out->row = hash(rows, r->w->vocab * sizeof *rows);
    remora_sampler_constrain(r->sampler, NULL, NULL);
    add_stage(r->sampler, REMORA_STAGE_TEMPERATURE, 1);
    for (int i = 0; i < 4; i++)
        REQUIRE_OK(
            remora_sampler_pick_from(r->sampler, rows, r->w->vocab, &r->out->t[r->out->n++], &err),
            &err);
    free(rows);
}

/* A generation of a fork, and one behind a trim. */
static void branch(running *r)
{
    remora_error err = HOST_ERROR;
    running f = *r;
    const remora_token word[] = {'a', 'b', ' '};
    if (r->p->forks) {
        call(r, 0);
        REQUIRE_OK(remora_session_fork(r->s, &f.s, &err), &err);
        REQUIRE_OK(remora_sampler_clone(r->sampler, &f.sampler, &err), &err);
        f.s->drafter = r->s->drafter;
        generate(&f);
        remora_session_free(f.s);
        remora_sampler_free(f.sampler);
    }
    if (!r->p->trims) return;
    call(r, 0);
    REQUIRE_OK(remora_session_trim(r->s, PROMPT + 1, &err), &err);
    REQUIRE_OK(remora_session_append(r->s, word, 3, REMORA_WANT_LAST, &err), &err);
    generate(r);
}

static void set_ceiling(running *r)
{
    remora_memory now = {.struct_size = sizeof now};
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_eval(&r->s, 1, NULL, &err), &err);
    REQUIRE_OK(remora_model_get_memory(r->w->m, &now, &err), &err);
    const uint64_t row = r->w->vocab * sizeof(float),
                   used = now.host_weights + now.host_kv + now.host_scratch + now.host_other;
    REQUIRE_OK(remora_model_set_budget(r->w->m, used + (r->p->ceiling - 1) * row, 0, &err), &err);
}

static void run(const world *w, const plan *p, const draft_plan *d, const outcome *knows,
                outcome *out)
{
    const remora_session_opts so = {.struct_size = sizeof so,
                                    .flags = p->session_flags,
                                    .capacity = CAP,
                                    .chunk = p->chunk,
                                    .kv_type = p->kv};
    remora_error err = HOST_ERROR;
    guesser g = {knows, PROMPT, d->chance, 3, w->vocab, 0};
    const rmr_drafter drafter = {&g, d->chance >= 0 ? guess : NULL,
                                 d->most == REMORA_DRAFTS_AUTO ? any_time : NULL};
    running r = {w, p, d, NULL, sampler_of(w, p), out};
    remora_token ids[PROMPT];
    memset(out, 0, sizeof *out);
    host_ids(ids, PROMPT, w->vocab, w->seed);
    for (int i = 20; i < PROMPT; i++) ids[i] = ids[i - 20]; /* something to be found again */
    REQUIRE_OK(remora_session_create(w->m, &so, &r.s, &err), &err);
    r.s->drafter = &drafter;
    REQUIRE_OK(remora_session_append(r.s, ids, PROMPT, REMORA_WANT_LAST, &err), &err);
    if (p->ceiling) set_ceiling(&r);
    branch(&r);
    generate(&r);
    REQUIRE_OK(remora_model_set_budget(w->m, 0, 0, &err), &err);
    look_behind(&r);
    if (p->counts)
        for (uint32_t layer = 1; layer < 3; layer++) {
            uint64_t c[64];
            size_t n = 0;
            REQUIRE_OK(remora_routing_read(w->m, layer, 1, c, 64, &n, &err), &err);
            out->counts = out->counts * 31 + hash(c, n * sizeof *c);
        }
    out->drafts = r.s->stats.drafts;
    out->used = r.s->stats.drafts_used;
    out->decoded = r.s->stats.decode_tokens;
    remora_sampler_free(r.sampler);
    remora_session_free(r.s);
}

static void same(const plan *p, const draft_plan *d)
{
    if (plain.n != drafted.n || memcmp(plain.t, drafted.t, sizeof plain.t) != 0 ||
        plain.last != drafted.last)
        fail_msg("%s, %u drafts, %d of 100: other tokens", p->name, d->most, d->chance);
    if (memcmp(plain.text, drafted.text, sizeof plain.text) != 0)
        fail_msg("%s, %u drafts, %d of 100: other text", p->name, d->most, d->chance);
    if (memcmp(plain.probs, drafted.probs, sizeof plain.probs) != 0)
        fail_msg("%s, %u drafts, %d of 100: other probabilities", p->name, d->most, d->chance);
    if (plain.n_states != drafted.n_states ||
        memcmp(plain.states, drafted.states, sizeof plain.states) != 0)
        fail_msg("%s, %u drafts, %d of 100: another state", p->name, d->most, d->chance);
    assert_true(plain.row == drafted.row);
    assert_true(plain.hidden == drafted.hidden);
    assert_true(plain.counts == drafted.counts);
    assert_int_equal(plain.decoded, drafted.decoded);
}

static const draft_plan ways[] = {{1, 100},
                                  {3, 85},
                                  {7, 60},
                                  {30, 100},
                                  {30, 0},
                                  {30, -1},
                                  {REMORA_DRAFTS_AUTO, 95},
                                  {REMORA_DRAFTS_AUTO, -1}};

static void on_model(const tiny_opts *o, const plan *p)
{
    static const draft_plan none = {0, -1};
    world w = {.seed = 4};
    tiny_make(&w.t, o);
    w.rt = host_runtime(NULL, 2, NULL);
    w.m = host_open(w.rt, &w.t.source);
    w.vocab = host_vocab(w.m);
    REQUIRE_OK(remora_routing_enable(w.m, p->counts, NULL), NULL);
    run(&w, p, &none, NULL, &plain);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        run(&w, p, &ways[i], &plain, &drafted);
        same(p, &ways[i]);
        if (p->counts) {
            assert_true(plain.counts != 0 && drafted.drafts == 0);
            continue;
        }
        if (p->ceiling == 1) assert_int_equal(drafted.drafts, 0);
        if (p->ceiling && (p->ceiling == 1 || ways[i].most >= p->ceiling)) continue;
        if (p->hidden) assert_true(plain.hidden != 0);
        if (p->chunk == 0 && ways[i].chance >= 0 &&
            (ways[i].most != REMORA_DRAFTS_AUTO || p->regex == NULL))
            assert_true(drafted.drafts > 0);
        if (p->chunk == 0 && ways[i].chance == 100 && !p->forks && !p->trims)
            assert_true(drafted.used > 0);
    }
    remora_model_free(w.m);
    remora_runtime_free(w.rt);
    tiny_free(&w.t);
}

static void on_all_models(const plan *p)
{
    static const tiny_opts kinds[] = {{0}, {.v2 = 1}, {.dense = "qwen2"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) on_model(&kinds[i], p);
}

/* ---- tests ---- */

static void stages_and_sessions(void **state)
{
    const plan p[] = {
        {.name = "frequency, presence, bias",
         .temperature = .8,
         .frequency = .3,
         .presence = .4,
         .bias = 2,
         .max_tokens = 50,
         .cap = 6},
        {.name = "callback", .temperature = 1, .callback = 1, .max_tokens = 50, .cap = 9},
        {.name = "hidden states", .temperature = 1, .max_tokens = 50, .cap = 4, .hidden = 1},
        {.name = "pages as needed",
         .temperature = 1,
         .cap = 6,
         .session_flags = REMORA_SESSION_PAGES_AS_NEEDED},
        {.name = "routing counts", .temperature = 1, .max_tokens = 30, .cap = 8, .counts = 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) on_model(&(tiny_opts){0}, &p[i]);
}

static void greedy_and_sampled(void **state)
{
    (void)state;
    on_all_models(&(plan){.name = "greedy", .max_tokens = 90, .cap = CAP});
    on_all_models(&(plan){.name = "sampled", .temperature = 1, .max_tokens = 90, .cap = CAP});
    on_all_models(
        &(plan){.name = "penalties", .temperature = .5, .repeat = 1.3, .max_tokens = 70, .cap = 5});
    on_all_models(
        &(plan){.name = "small chunk", .temperature = .7, .max_tokens = 60, .cap = 9, .chunk = 4});
    on_model(&(tiny_opts){0}, &(plan){.name = "8 bits",
                                      .temperature = 1,
                                      .max_tokens = 60,
                                      .cap = CAP,
                                      .kv = REMORA_KV_INT8});
}

static void to_the_end_of_the_capacity(void **state)
{
    (void)state;
    on_all_models(&(plan){.name = "capacity", .temperature = 1.5, .cap = 7});
}

static void cut_by_hosts(void **state)
{
    const plan p[] = {
        {.name = "one by one", .temperature = 1, .max_tokens = 50, .cap = 1},
        {.name = "budget", .temperature = 1, .max_tokens = 50, .cap = 4, .budget_us = 1},
        {.name = "cancel", .temperature = 1, .max_tokens = 50, .cap = 4, .cancel = 1},
        {.name = "evals between", .temperature = 1, .max_tokens = 50, .cap = 3, .host_evals = 1},
        {.name = "probabilities", .temperature = 1, .max_tokens = 50, .cap = 6, .probs = 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) on_model(&(tiny_opts){0}, &p[i]);
}

static void texts(void **state)
{
    const plan p[] = {
        {.name = "text", .temperature = 1, .max_tokens = 60, .cap = CAP, .text = 1},
        {.name = "stop", .temperature = .2, .max_tokens = 90, .cap = 8, .text = 1, .stop = "a"},
        {.name = "constraint",
         .temperature = 1,
         .max_tokens = 80,
         .cap = 8,
         .text = 1,
         .regex = "((ab|cd)+, the very same words again; )+x"},
        {.name = "forced alone",
         .temperature = 1,
         .cap = 3,
         .regex = "all of this text is forced, and it is longer than 31 tokens of bytes[xyz]+!"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) on_model(&(tiny_opts){0}, &p[i]);
}

/* Near a ceiling in bytes drafts have no rows, and that is no failure. */
static void no_room_for_rows(void **state)
{
    const plan p[] = {
        {.name = "ceiling", .max_tokens = 50, .cap = CAP, .ceiling = 1},
        {.name = "ceiling, sampled", .temperature = 1, .max_tokens = 50, .cap = 6, .ceiling = 1},
        {.name = "ceiling behind 3 rows", .temperature = 1, .cap = 7, .ceiling = 4},
        {.name = "ceiling, pages as needed",
         .temperature = 1,
         .max_tokens = 8,
         .cap = 3,
         .session_flags = REMORA_SESSION_PAGES_AS_NEEDED,
         .ceiling = 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) on_model(&(tiny_opts){0}, &p[i]);
}

static void forks_and_trims(void **state)
{
    const plan p[] = {
        {.name = "fork", .temperature = 1, .max_tokens = 40, .cap = 5, .forks = 1},
        {.name = "trim", .temperature = 1, .max_tokens = 40, .cap = 5, .trims = 1},
        {.name = "both", .temperature = 1, .max_tokens = 40, .cap = 3, .forks = 1, .trims = 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) on_model(&(tiny_opts){0}, &p[i]);
}

static uint32_t always(void *user, const remora_session *s, remora_token *out, uint32_t most)
{
    (void)s;
    for (uint32_t i = 0; i < most; i++) out[i] = *(const remora_token *)user;
    return most;
}

static void add(remora_session *s, remora_token t, int64_t budget_us, remora_status want)
{
    const remora_eval_opts o = {.struct_size = sizeof o, .budget_us = budget_us};
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_append(s, &t, 1, REMORA_WANT_LAST, &err), &err);
    assert_int_equal(remora_eval(&s, 1, &o, &err), want);
}

/* The model in the box has a prediction layer, which is good enough to be right now and then. */
static void on_the_box(const plan *list, size_t n)
{
    static const draft_plan none = {0, -1};
    static const draft_plan with[] = {{1, -1}, {4, -1}, {30, -1}, {REMORA_DRAFTS_AUTO, -1}};
    const remora_source src = host_path_source(box);
    world w = {.rt = host_runtime(NULL, 2, NULL), .seed = 5};
    w.m = host_open(w.rt, &src);
    w.vocab = host_vocab(w.m);
    for (size_t i = 0; i < n; i++) {
        plan p = list[i];
        run(&w, &p, &none, NULL, &plain);
        p.session_flags = REMORA_SESSION_PREDICTION;
        for (size_t k = 0; k < sizeof with / sizeof *with; k++) {
            run(&w, &p, &with[k], NULL, &drafted);
            same(&p, &with[k]);
            if (p.ceiling == 1) assert_int_equal(drafted.drafts, 0);
            if (p.temperature <= 0 && with[k].most <= 4)
                assert_true(drafted.drafts > 10 && 5 * drafted.used > drafted.drafts);
        }
    }
    remora_model_free(w.m);
    remora_runtime_free(w.rt);
}

static void prediction_layer(void **state)
{
    const plan p[] = {
        {.name = "greedy", .max_tokens = 60, .cap = CAP},
        {.name = "sampled", .temperature = 1, .max_tokens = 60, .cap = 7},
        {.name = "capacity", .temperature = .8, .cap = 50},
        {.name = "chunk", .temperature = .8, .max_tokens = 50, .cap = 7, .chunk = 3},
        {.name = "8 bits", .max_tokens = 50, .cap = 60, .kv = REMORA_KV_INT8},
        {.name = "budget", .temperature = .8, .max_tokens = 24, .cap = 4, .budget_us = 300},
        {.name = "cancel", .temperature = .8, .max_tokens = 40, .cap = 4, .cancel = 1},
        {.name = "evals", .temperature = .8, .max_tokens = 40, .cap = 3, .host_evals = 1},
        {.name = "probabilities", .temperature = .8, .max_tokens = 40, .cap = 6, .probs = 1},
        {.name = "fork and trim",
         .temperature = .8,
         .max_tokens = 40,
         .cap = 5,
         .forks = 1,
         .trims = 1},
        {.name = "ceiling", .temperature = .8, .max_tokens = 40, .cap = 40, .ceiling = 1},
        {.name = "forced",
         .temperature = .8,
         .max_tokens = 60,
         .cap = 8,
         .regex = "(One day, a (dog|cat) saw a [a-z]+\\. )+"},
    };
    (void)state;
    on_the_box(p, sizeof p / sizeof *p);
}

/* The cache at the places of drafts is written over by a step that never ends; then the timeline
 * gets the first draft after all. Its row must not be taken for one that holds. */
static void a_step_over_drafts(void **state)
{
    static const remora_token guessed = 5, other = 9, last = 8;
    static const rmr_drafter drafter = {(void *)(uintptr_t)&guessed, always, NULL};
    const remora_gen_opts o = {.struct_size = sizeof o, .max_drafts = 3};
    const remora_eval_opts short_one = {.struct_size = sizeof short_one, .budget_us = 1};
    remora_error err = HOST_ERROR;
    remora_token ids[PROMPT], t[2];
    remora_session *s[2];
    remora_sampler *p;
    float *rows[2];
    size_t n;
    world w;
    (void)state;
    tiny_make(&w.t, &(tiny_opts){0});
    w.rt = host_runtime(NULL, 2, NULL);
    w.m = host_open(w.rt, &w.t.source);
    w.vocab = host_vocab(w.m);
    host_ids(ids, PROMPT, w.vocab, 4);
    REQUIRE_OK(remora_sampler_create(w.m, 11, &p, &err), &err);
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(remora_session_create(w.m, NULL, &s[i], &err), &err);
        REQUIRE_OK(remora_session_append(s[i], ids, PROMPT, REMORA_WANT_LAST, &err), &err);
    }
    s[0]->drafter = &drafter;
    REQUIRE_OK(remora_generate(s[0], p, &o, t, 2, &n, &err), &err);
    assert_int_equal(s[0]->stats.drafts, 3);
    REQUIRE_OK(remora_session_trim(s[0], PROMPT + 1, &err), &err);
    add(s[0], other, 1, REMORA_MORE);
    for (int i = 0; i < 30 && remora_eval(&s[0], 1, &short_one, NULL) == REMORA_MORE; i++)
        ;
    REQUIRE_OK(remora_session_trim(s[0], PROMPT + 1, &err), &err);
    add(s[1], t[0], 0, REMORA_OK);
    for (int i = 0; i < 2; i++) {
        add(s[i], guessed, 0, REMORA_OK);
        add(s[i], last, 0, REMORA_OK);
        rows[i] = host_rows(s[i], 1);
    }
    assert_memory_equal(rows[0], rows[1], w.vocab * sizeof *rows[0]);
    for (int i = 0; i < 2; i++) {
        free(rows[i]);
        remora_session_free(s[i]);
    }
    remora_sampler_free(p);
    remora_model_free(w.m);
    remora_runtime_free(w.rt);
    tiny_free(&w.t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_and_sampled), cmocka_unit_test(to_the_end_of_the_capacity),
        cmocka_unit_test(cut_by_hosts),       cmocka_unit_test(texts),
        cmocka_unit_test(forks_and_trims),    cmocka_unit_test(stages_and_sessions),
        cmocka_unit_test(a_step_over_drafts), cmocka_unit_test(no_room_for_rows),
        cmocka_unit_test(prediction_layer),
    };
    REQUIRE(argc == 2);
    box = argv[1];
    return cmocka_run_group_tests_name("p29", tests, NULL, NULL);
}
