/* SPDX-License-Identifier: Apache-2.0 */
/* Constraints of output, and samplers that keep to them. */
#include <string.h>

#include "checks.h"
#include "constraint.h"
#include "constraint_handle.h"
#include "front_ends.h"
#include "lark.h"
#include "log.h"
#include "sampler_handle.h"
#include "schema.h"
#include "sized_struct.h"

struct remora_constraint {
    remora_model *model; /* counted */
    rmr_constraint *c;
    atomic_uint refs; /* the host's, and one for each guide */
};

/* The place of a sampler in the text of a constraint. */
typedef struct follower {
    remora_constraint *of;
    rmr_guide *guide;
} follower;

static void unref(remora_constraint *c)
{
    if (atomic_fetch_sub(&c->refs, 1) != 1) return;
    remora_model *m = c->model;
    rmr_constraint_free(c->c);
    rmr_free(&m->session_mem, c, sizeof *c);
    rmr_model_unref(m);
}

/* The vocabulary of a model's constraints is made with the first of them. */
static remora_status vocabulary(remora_model *m, const rmr_vocabulary **out, remora_error *err)
{
    remora_status st = REMORA_OK;
    rmr_lock_take(&m->vocab_lock); /* a pointer: whole, or not there */
    if (m->vocab == NULL) {
        rmr_vocabulary *v;
        st = rmr_vocabulary_of(&m->session_mem, m->tok, m->shape.n_vocab, &v, err);
        rmr_lock_order();
        if (st >= 0) m->vocab = v;
    }
    *out = m->vocab;
    rmr_lock_give(&m->vocab_lock);
    return st;
}

static remora_status choices(rmr_grammar *g, rmr_mem *mem, const remora_constraint_opts *o,
                             remora_error *err)
{
    const size_t n = o->n_choices;
    const char **texts = rmr_alloc(mem, n * sizeof *texts);
    size_t *lengths = rmr_alloc(mem, n * sizeof *lengths);
    remora_status st;
    if (texts == NULL || lengths == NULL) {
        st = rmr_error_nomem(err, "the choices of a constraint", n * sizeof *texts);
    } else {
        for (size_t i = 0; i < n; i++) {
            texts[i] = o->choices[i].ptr;
            lengths[i] = o->choices[i].len;
        }
        st = rmr_choices(g, texts, lengths, n, err);
    }
    rmr_free(mem, texts, n * sizeof *texts);
    rmr_free(mem, lengths, n * sizeof *lengths);
    return st;
}

void rmr_api_left_out(void *model, const char *what)
{
    const remora_model *m = model;
    rmr_log_write(&m->rt->ctx.log, REMORA_LOG_WARN,
                  "a schema asks for what is not enforced and is left out: %s", what);
}

static remora_status schema(rmr_grammar *g, remora_model *m, const remora_constraint_opts *o,
                            remora_error *err)
{
    const rmr_schema_opts how = {
        .lax = (o->flags & REMORA_SCHEMA_LAX) != 0, .left_out = rmr_api_left_out, .user = m};
    rmr_rule start;
    RMR_TRY(rmr_schema(g, o->source.ptr, o->source.len, &how, &start, err));
    return rmr_grammar_finish(g, start, err);
}

static int find_token(void *user, const char *text, size_t n, uint32_t *id)
{
    const remora_model *m = user;
    const remora_token t = rmr_tokenizer_find(m->tok, text, n);
    *id = (uint32_t)t;
    return t != REMORA_TOKEN_NONE;
}

static remora_status compile(rmr_grammar *g, remora_model *m, const remora_constraint_opts *o,
                             remora_error *err)
{
    const rmr_lark_tokens tokens = {find_token, m};
    switch (o->kind) {
    case REMORA_CONSTRAINT_GBNF: return rmr_gbnf(g, o->source.ptr, o->source.len, err);
    case REMORA_CONSTRAINT_REGEX: return rmr_regex(g, o->source.ptr, o->source.len, err);
    case REMORA_CONSTRAINT_CHOICE: return choices(g, &m->session_mem, o, err);
    case REMORA_CONSTRAINT_LARK: return rmr_lark(g, o->source.ptr, o->source.len, &tokens, err);
    case REMORA_CONSTRAINT_JSON_SCHEMA: return schema(g, m, o, err);
    default:
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "the kind of a constraint is %d; supported are 1 to 5, REMORA_CONSTRAINT_*",
                 (int)o->kind);
    }
}

typedef struct source {
    remora_model *model;
    const remora_constraint_opts *opts;
} source;

static remora_status compile_source(rmr_grammar *g, void *user, remora_error *err)
{
    const source *s = user;
    return compile(g, s->model, s->opts, err);
}

static remora_status build(remora_constraint *c, const rmr_limits *lim, rmr_api_grammar make,
                           void *user, remora_error *err)
{
    remora_model *m = c->model;
    const rmr_vocabulary *v;
    rmr_grammar *g;
    RMR_TRY(vocabulary(m, &v, err));
    RMR_TRY(rmr_grammar_new(&m->session_mem, lim, &g, err));
    const remora_status st = make(g, user, err);
    if (st < 0) {
        rmr_grammar_free(g);
        return RMR_PASSED_ON(st);
    }
    return rmr_constraint_new(&m->session_mem, g, v, &c->c, err);
}

static remora_status check(remora_model *m, const remora_constraint_opts *o, remora_error *err)
{
    const int choice = o->kind == REMORA_CONSTRAINT_CHOICE;
    RMR_NEED(m != NULL, err, "model is NULL");
    RMR_NEED(o->source.ptr != NULL || o->source.len == 0, err,
             "the source of the constraint is NULL");
    RMR_NEED(!choice || (o->choices != NULL && o->n_choices > 0), err,
             "a constraint of choices has none");
    for (uint64_t i = 0; choice && i < o->n_choices; i++)
        RMR_NEED(o->choices[i].ptr != NULL || o->choices[i].len == 0, err,
                 "a choice of the constraint is NULL");
    RMR_NEED(choice || (o->choices == NULL && o->n_choices == 0), err,
             "the constraint has choices and is of another kind");
    RMR_NEED(!choice || o->source.len == 0, err, "a constraint of choices has a source too");
    RMR_NEED((o->flags & ~(uint32_t)REMORA_SCHEMA_LAX) == 0 && o->reserved == 0, err,
             "flags of the constraint have a bit that is none");
    RMR_NEED(o->flags == 0 || o->kind == REMORA_CONSTRAINT_JSON_SCHEMA, err,
             "flags of a schema are given for a constraint of another kind");
    if (m->tok == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "constraints are about text; the model has no tokenizer that this build can use");
    return REMORA_OK;
}

remora_status rmr_api_constraint(remora_model *m, const rmr_limits *lim, rmr_api_grammar make,
                                 void *user, remora_constraint **out, remora_error *err)
{
    remora_constraint *c = rmr_calloc(&m->session_mem, 1, sizeof *c);
    if (c == NULL) return rmr_error_nomem(err, "a constraint", sizeof *c);
    c->model = m;
    atomic_init(&c->refs, 1);
    rmr_model_ref(m);
    const remora_status st = build(c, lim, make, user, err);
    if (st < 0) {
        unref(c);
        return RMR_PASSED_ON(st);
    }
    *out = c;
    return REMORA_OK;
}

remora_status remora_constraint_create(remora_model *m, const remora_constraint_opts *opts,
                                       remora_constraint **out, remora_error *err)
{
    remora_constraint_opts o;
    RMR_NEED(out != NULL, err, "out is NULL");
    *out = NULL;
    RMR_NEED(opts != NULL, err, "opts is NULL");
    RMR_TRY(RMR_READ(remora_constraint_opts, o, opts, err));
    RMR_TRY(check(m, &o, err));
    const rmr_limits lim = {.bytes = o.memory, .step = o.steps};
    source s = {m, &o};
    return rmr_api_constraint(m, &lim, compile_source, &s, out, err);
}

void remora_constraint_free(remora_constraint *c)
{
    if (c != NULL) unref(c);
}

/* -- Followers of samplers -- */

/* Takes over the guide. */
static remora_status follow(remora_constraint *c, rmr_guide *guide, void **out, remora_error *err)
{
    follower *f = rmr_alloc(&c->model->session_mem, sizeof *f);
    if (f == NULL) {
        rmr_guide_free(guide);
        return rmr_error_nomem(err, "a constraint of a sampler", sizeof *f);
    }
    *f = (follower){c, guide};
    atomic_fetch_add(&c->refs, 1);
    *out = f;
    return REMORA_OK;
}

static remora_status follower_mask(void *guide, uint32_t *mask, remora_error *err)
{
    return rmr_guide_mask(((follower *)guide)->guide, mask, err);
}

static remora_status follower_accept(void *guide, remora_token t, remora_error *err)
{
    return rmr_guide_accept(((follower *)guide)->guide, t, err);
}

static remora_status follower_rollback(void *guide, size_t n, remora_error *err)
{
    return rmr_guide_rollback(((follower *)guide)->guide, n, err);
}

static remora_status encode(void *model, const char *text, size_t len, remora_token *out,
                            size_t cap, size_t *n, remora_error *err)
{
    return rmr_tokenizer_encode(((remora_model *)model)->tok, text, len, 0, out, cap, n, err);
}

static remora_status follower_forced(void *guide, remora_token *t, size_t *n, remora_error *err)
{
    follower *f = guide;
    return rmr_guide_forced(f->guide, encode, f->of->model, t, 1, n, err);
}

static remora_status follower_clone(const void *guide, void **out, remora_error *err)
{
    const follower *f = guide;
    rmr_guide *copy;
    RMR_TRY(rmr_guide_clone(f->guide, &copy, err));
    return follow(f->of, copy, out, err);
}

static void follower_restart(void *guide)
{
    rmr_guide *g = ((follower *)guide)->guide;
    (void)rmr_guide_rollback(g, rmr_guide_count(g), NULL);
}

static void follower_free(void *guide)
{
    follower *f = guide;
    remora_constraint *c = f->of;
    rmr_guide_free(f->guide);
    rmr_free(&c->model->session_mem, f, sizeof *f);
    unref(c);
}

static const rmr_limiter_ops follower_ops = {follower_mask,   follower_accept, follower_rollback,
                                             follower_forced, follower_clone,  follower_restart,
                                             follower_free};

static remora_status constrain(remora_sampler *p, remora_constraint *c, remora_error *err)
{
    rmr_limiter l = {NULL, NULL};
    rmr_guide *guide;
    if (c != NULL) {
        RMR_TRY(rmr_sampler_check_vocabulary(p, c->model, err));
        RMR_TRY(rmr_guide_new(c->c, &guide, err));
        RMR_TRY(follow(c, guide, &l.guide, err));
        l.ops = &follower_ops;
    }
    return rmr_sampler_limit(p->sampler, l, err);
}

remora_status remora_sampler_constrain(remora_sampler *p, remora_constraint *c, remora_error *err)
{
    RMR_NEED(p != NULL, err, "sampler is NULL");
    RMR_TRY(rmr_sampler_enter(p, err));
    const remora_status st = constrain(p, c, err);
    rmr_use_end(&p->use);
    return st;
}

remora_status remora_sampler_rollback(remora_sampler *p, uint64_t n, remora_error *err)
{
    RMR_NEED(p != NULL, err, "sampler is NULL");
    RMR_TRY(rmr_sampler_enter(p, err));
    const remora_status st = rmr_sampler_rollback(p->sampler, (size_t)n, err);
    rmr_use_end(&p->use);
    return st;
}
