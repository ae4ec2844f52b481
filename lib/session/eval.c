/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation: pending tokens of one or several sessions are cut into steps of at most `chunk` rows,
 * a step runs slice by slice (a layer, or one pass of the head). The cancel word and the budget are
 * read between slices, and by the CPU before each item of work inside them.
 *
 * A step that was stopped stays with the first session of the batch and goes on when the same
 * sessions come back with its tokens untouched; in any other case it is dropped and done again,
 * which costs time but changes nothing: results do not depend on how the work was cut (P22). The
 * committed length of a session moves only when its step is complete. */
#include <string.h>

#include "arena.h"
#include "cancel.h"
#include "clock.h"
#include "draft.h"
#include "halt.h"
#include "session.h"

typedef struct evaluation {
    remora_session *const *s;
    size_t n;
    const remora_eval_opts *o;
    rmr_halt *halt;       /* NULL: neither a budget nor a cancel word */
    uint64_t rows_left;   /* under max_tokens */
    uint64_t most_drafts; /* of each session, for each step */
    int leave;            /* the last row of its one session may be left in the step */
    remora_error *err;
} evaluation;

/* The session holds it no more. */
static rmr_context *let_go(rmr_step_in_progress *f)
{
    rmr_context *c = f->ctx;
    f->ctx = NULL;
    f->parts = NULL;
    f->n_parts = 0;
    return c;
}

void rmr_step_in_progress_drop(remora_session *lead)
{
    rmr_context_give(lead->model, let_go(&lead->in_progress));
}

static void new_epoch(remora_session *s)
{
    s->epoch++;
    s->in_step = 0;
}

void rmr_session_touch(remora_session *s, uint64_t position)
{
    if (position >= s->in_step) return;
    rmr_step_in_progress_drop(s);
    new_epoch(s);
}

/* 1 when the step that the first session holds is made of untouched sessions of this call, and is
 * within its limit. */
static int step_fits(const evaluation *e)
{
    const rmr_step_in_progress *f = &e->s[0]->in_progress;
    for (size_t i = 0; i < f->n_parts; i++) {
        size_t k = 0;
        while (k < e->n && e->s[k] != f->parts[i].session) k++;
        if (k == e->n || e->s[k]->serial != f->parts[i].serial ||
            e->s[k]->epoch != f->parts[i].epoch)
            return 0;
    }
    return f->ctx != NULL && f->ctx->in.n_rows - f->n_drafts <= e->rows_left;
}

/* ---- forming a step ---- */

/* A session's part of a step, kept in the memory of the step's context. A part has at least one
 * row. */
static void lay_out(rmr_step_in_progress *f, rmr_arena *a, uint32_t rows)
{
    f->parts = rmr_arena_take(a, rows, sizeof *f->parts);
    f->want = rmr_arena_take(a, rows, sizeof *f->want);
}

rmr_context_size rmr_session_context_size(uint32_t chunk, uint64_t pages)
{
    rmr_step_in_progress f;
    rmr_arena a = {0};
    lay_out(&f, &a, chunk);
    return (rmr_context_size){
        .rows = chunk, .pages = (uint32_t)pages, .user_bytes = (size_t)a.used};
}

static void add_run(rmr_inputs *in, const remora_session *s, uint32_t row, uint32_t pos,
                    uint32_t page0)
{
    const rmr_form form =
        s->flags[pos] & RMR_TOKEN_EXPANDED ? RMR_FORM_EXPANDED : RMR_FORM_ABSORBED;
    rmr_run *last = in->n_runs > 0 ? &in->run[in->n_runs - 1] : NULL;
    if (last != NULL && last->page0 == page0 && last->form == form &&
        last->row0 + last->n_rows == row) {
        last->n_rows++;
        return;
    }
    RMR_ASSERT(in->n_runs <= in->n_rows);
    in->run[in->n_runs++] = (rmr_run){row, 1, pos, page0, form, s->cache.type};
}

/* Put a session's drafts behind its pending tokens. */
static void add_drafts(rmr_step_in_progress *f, remora_session *s)
{
    rmr_inputs *in = &f->ctx->in;
    rmr_part *p = &f->parts[f->n_parts - 1];
    rmr_run *run = &in->run[in->n_runs - 1];
    const uint32_t n = s->ahead.made;
    RMR_ASSERT(run->form == RMR_FORM_ABSORBED && s->committed + p->n_rows == s->n_tokens);
    RMR_ASSERT(in->n_rows + n <= f->ctx->size.rows && n <= s->ahead.cap && n <= RMR_MOST_DRAFTS);
    RMR_ASSERT(rmr_pages_for(s->n_tokens + n) == rmr_pages_for(s->n_tokens));
    for (uint32_t i = 0; i < n; i++) {
        in->token[in->n_rows] = s->ahead.token[i];
        in->pos[in->n_rows] = (uint32_t)s->n_tokens + i;
        f->want[f->n_want++] = in->n_rows++;
    }
    run->n_rows += n;
    p->n_rows += n;
    p->n_drafts = n;
    f->n_drafts += n;
}

/* Put n pending tokens of one session into the step. */
static void add_part(rmr_step_in_progress *f, remora_session *s, uint32_t n)
{
    rmr_context *c = f->ctx;
    rmr_inputs *in = &c->in;
    const uint32_t page0 = in->n_pages;
    const uint64_t end = s->committed + n;
    RMR_ASSERT(n > 0 && in->n_rows + n <= c->size.rows && f->n_parts < c->size.rows);
    RMR_ASSERT(rmr_pages_for(end) <= c->size.pages - page0);
    f->parts[f->n_parts++] =
        (rmr_part){.session = s, s->serial, s->epoch, .row0 = in->n_rows, .n_rows = n};
    rmr_ahead_end(s);
    if (s->in_step < end) s->in_step = end;
    rmr_page_table_addresses(&s->cache, end, in->page + page0);
    in->n_pages += (uint32_t)rmr_pages_for(end);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t pos = (uint32_t)s->committed + i;
        in->token[in->n_rows] = s->tokens[pos];
        in->pos[in->n_rows] = pos;
        add_run(in, s, in->n_rows, pos, page0);
        if (s->flags[pos] & RMR_TOKEN_WANT) f->want[f->n_want++] = in->n_rows;
        if (s->flags[pos] & RMR_TOKEN_EXPANDED) f->prefill = 1;
        in->n_rows++;
    }
}

static uint64_t pending(const remora_session *s)
{
    return s->n_tokens - s->committed;
}

static int any_pending(const evaluation *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (pending(e->s[i]) > 0) return 1;
    return 0;
}

/* The pending tokens of session i that this call may evaluate: those of sessions before it come
 * first. *left: tokens under max_tokens, at first all of them. */
static uint64_t allowed(const evaluation *e, size_t i, uint64_t *left)
{
    const uint64_t n = pending(e->s[i]) < *left ? pending(e->s[i]) : *left;
    *left -= n;
    return n;
}

/* A walk over the sessions of the next step. */
typedef struct walk {
    size_t i;
    uint64_t left;  /* under max_tokens */
    uint32_t rows;  /* the step has room for */
    uint64_t pages; /* the same */
} walk;

static walk walk_of(const evaluation *e)
{
    walk w = {.left = e->rows_left, .rows = e->s[0]->chunk};
    for (size_t i = 0; i < e->n; i++)
        if (e->s[i]->cache.max > w.pages) w.pages = e->s[i]->cache.max;
    return w;
}

/* The next session and the number of its rows; NULL: there is none. Sessions whose page tables do
 * not fit any more wait for the step after. */
static remora_session *walk_on(const evaluation *e, walk *w, uint32_t *n)
{
    while (w->i < e->n && w->rows > 0) {
        remora_session *s = e->s[w->i];
        const uint64_t may = allowed(e, w->i++, &w->left);
        if (may == 0 || s->cache.n > w->pages) continue;
        *n = may < w->rows ? (uint32_t)may : w->rows;
        w->rows -= *n;
        w->pages -= rmr_pages_for(s->committed + *n);
        return s;
    }
    return NULL;
}

/* Do rows of a prompt take part? If not, how many rows have logits, in how many sessions? */
static int look_at_step(const evaluation *e, walk *w, rmr_worth_step *step)
{
    uint32_t n;
    for (const remora_session *s; (s = walk_on(e, w, &n)) != NULL;) {
        const uint8_t *flags = s->flags + s->committed;
        uint32_t wanted = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (flags[i] & RMR_TOKEN_EXPANDED) return 1;
            wanted += (flags[i] & RMR_TOKEN_WANT) != 0;
        }
        step->rows += wanted;
        step->sessions += wanted > 0;
    }
    return 0;
}

/* The time that is left of the call's budget; 0: it has none. */
static int64_t time_left(const evaluation *e)
{
    if (e->halt == NULL || e->halt->end_us == 0) return 0;
    const uint64_t t = rmr_clock_us();
    return e->halt->end_us > t ? (int64_t)(e->halt->end_us - t) : 1;
}

/* Guess what follows the sessions of the next step, in the room that their pending tokens leave.
 * The cost of rows beside a prompt is not known, so none pay there. */
static void make_drafts(const evaluation *e)
{
    rmr_draft_wish w = {.if_worth = e->o->max_drafts == REMORA_DRAFTS_AUTO, .cancel = e->o->cancel};
    walk seen = walk_of(e), at = seen;
    uint32_t n;
    for (size_t i = 0; i < e->n; i++) e->s[i]->ahead.made = 0;
    if (e->most_drafts == 0) return;
    const int prompts = look_at_step(e, &seen, &w.step);
    if (prompts && w.if_worth) return;
    while (prompts && walk_on(e, &seen, &n) != NULL)
        ;
    uint32_t room = seen.rows;
    for (remora_session *s; room > 0 && (s = walk_on(e, &at, &n)) != NULL;) {
        if (n < pending(s) || !(s->flags[s->n_tokens - 1] & RMR_TOKEN_WANT)) continue;
        w.most = e->most_drafts < room ? e->most_drafts : room;
        w.left_us = time_left(e);
        rmr_draft(s, &w);
        room -= s->ahead.made;
        w.step.drafts += s->ahead.made;
    }
}

/* Gather the next step. */
static remora_status form_step(evaluation *e)
{
    remora_session *lead = e->s[0];
    rmr_step_in_progress *f = &lead->in_progress;
    walk w = walk_of(e);
    uint32_t n;
    make_drafts(e);
    RMR_TRY(rmr_context_take(lead->model, rmr_session_context_size(lead->chunk, w.pages), lead,
                             &f->ctx, e->err));
    rmr_inputs *in = &f->ctx->in;
    rmr_arena a = {.base = f->ctx->user, .size = f->ctx->size.user_bytes};
    lay_out(f, &a, lead->chunk);
    in->n_rows = in->n_runs = in->n_pages = 0;
    f->n_parts = f->n_want = f->n_drafts = 0;
    f->program = &lead->model->programs.program[RMR_PROGRAM_MAIN];
    f->next_slice = f->next_want = 0;
    f->told = f->leaves = 0;
    f->us = 0;
    f->prefill = 0;
    for (remora_session *s; (s = walk_on(e, &w, &n)) != NULL;) {
        add_part(f, s, n);
        if (s->ahead.made > 0) add_drafts(f, s);
    }
    RMR_ASSERT(f->n_parts > 0 && in->n_rows > 0 && in->n_rows <= lead->chunk);
    const remora_status st = rmr_context_begin(lead->model, f->ctx, e->err);
    if (st < 0) rmr_step_in_progress_drop(lead);
    return st;
}

/* ---- running it ---- */

static rmr_part *part_of(rmr_step_in_progress *f, uint32_t row)
{
    rmr_part *p = f->parts;
    while (row >= p->row0 + p->n_rows) p++;
    RMR_ASSERT(p < f->parts + f->n_parts && row >= p->row0);
    return p;
}

static int is_draft(const rmr_part *p, uint32_t row)
{
    return row - p->row0 >= p->n_rows - p->n_drafts;
}

/* The same for rows of drafts. */
static remora_status deliver_drafts(const evaluation *e, const rmr_part *p, uint32_t i, uint32_t n)
{
    const rmr_step_in_progress *f = &e->s[0]->in_progress;
    remora_session *s = p->session;
    const size_t at = f->want[f->next_want + i] - p->row0 - (p->n_rows - p->n_drafts);
    RMR_ASSERT(at + n <= s->ahead.cap);
    const uint64_t position = s->committed + (p->n_rows - p->n_drafts) + at;
    return rmr_context_read(s->model, f->ctx, i, n, s->ahead.logits + at * s->model->shape.n_vocab,
                            rmr_predictor_place(s, position, n), e->err);
}

/* Copy the rows [i, i + n) of a head pass, all of one session, to its output. */
static remora_status deliver(const evaluation *e, rmr_part *p, uint32_t i, uint32_t n)
{
    rmr_step_in_progress *f = &e->s[0]->in_progress;
    remora_session *s = p->session;
    const rmr_shape *shape = &s->model->shape;
    const size_t row = s->rows.n_ready + p->n_out;
    int hidden = 0;
    RMR_ASSERT(row + n <= s->rows.n_wanted && s->rows.n_wanted <= s->rows.cap);
    for (uint32_t k = 0; k < n; k++) {
        p->last_out = s->committed + f->want[f->next_want + i + k] - p->row0;
        s->rows.has_hidden[row + k] =
            s->rows.hidden != NULL && (s->flags[p->last_out] & RMR_TOKEN_WANT_HIDDEN) != 0;
        RMR_ASSERT(p->last_out < s->n_tokens && (s->flags[p->last_out] & RMR_TOKEN_WANT));
        hidden |= s->rows.has_hidden[row + k];
    }
    p->n_out += n;
    float *last = p->last_out + 1 == s->n_tokens ? rmr_predictor_place(s, p->last_out, 1) : NULL;
    if (last != NULL) RMR_TRY(rmr_context_read(s->model, f->ctx, i + n - 1, 1, NULL, last, e->err));
    if (hidden)
        RMR_TRY(rmr_context_read(s->model, f->ctx, i, n, NULL,
                                 s->rows.hidden + row * shape->n_hidden, e->err));
    f->leaves = e->leave && p->last_out + 1 == s->n_tokens;
    f->left_row = i + n - 1;
    RMR_ASSERT(!f->leaves || f->n_want - f->next_want <= RMR_HEAD_ROWS); /* no pass comes behind */
    if (f->leaves && --n == 0) return REMORA_OK;
    return rmr_context_read(s->model, f->ctx, i, n, s->rows.logits + row * shape->n_vocab, NULL,
                            e->err);
}

/* Run one pass of the head over the next wanted rows of all sessions, or go on with it. The rows
 * count as ready when the step is committed. */
static remora_status head_pass(const evaluation *e, const rmr_program_slice *slice)
{
    rmr_step_in_progress *f = &e->s[0]->in_progress;
    const uint32_t *want = f->want + f->next_want;
    const uint32_t left = f->n_want - f->next_want;
    const uint32_t n = left < RMR_HEAD_ROWS ? left : RMR_HEAD_ROWS;
    RMR_ASSERT(n > 0 && f->next_want <= f->n_want);
    if (!f->told) RMR_TRY(rmr_context_want(e->s[0]->model, f->ctx, want, n, e->err));
    f->told = 1;
    const remora_status st = rmr_context_run(e->s[0]->model, f->ctx, slice, e->halt, e->err);
    if (st != REMORA_OK) return st;
    f->told = 0;
    for (uint32_t i = 0; i < n;) {
        rmr_part *p = part_of(f, want[i]);
        uint32_t k = 1;
        const int drafts = is_draft(p, want[i]);
        while (i + k < n && want[i + k] < p->row0 + p->n_rows && is_draft(p, want[i + k]) == drafts)
            k++;
        RMR_TRY(drafts ? deliver_drafts(e, p, i, k) : deliver(e, p, i, k));
        i += k;
    }
    f->next_want += n;
    return REMORA_OK;
}

static void count(remora_session *s, uint32_t rows, int prefill, uint64_t us)
{
    if (prefill) {
        s->stats.prefill_tokens += rows;
        s->stats.prefill_us += us;
    } else {
        s->stats.decode_tokens += rows;
        s->stats.decode_us += us;
    }
}

/* The time of a step is recorded, where its rows are those of a step with drafts. */
static void count_worth(remora_session *s, const rmr_step_in_progress *f, uint32_t n)
{
    const rmr_drafter *d = s->drafter;
    const uint32_t rows = f->n_want - f->n_drafts;
    if (f->prefill || f->n_want != f->ctx->in.n_rows) return;
    const rmr_worth_step step = {(uint32_t)f->n_parts, rows, f->n_drafts};
    const uint64_t us = d != NULL && d->us != NULL ? d->us(d->user, f->n_want) : f->us;
    rmr_worth_took(&s->worth, &step, n, s->ahead.source, us, n > 0 ? s->ahead.us : 0);
}

/* What was drafted belongs behind what is committed now. */
static void keep_drafts(remora_session *s, uint32_t n)
{
    s->ahead.first = s->committed;
    s->ahead.at = s->ahead.saved = 0;
    s->ahead.n = n;
    s->stats.drafts += n;
}

static void commit(evaluation *e)
{
    remora_session *lead = e->s[0];
    rmr_step_in_progress *f = &lead->in_progress;
    for (size_t i = 0; i < f->n_parts; i++) {
        remora_session *s = f->parts[i].session;
        const uint32_t n = f->parts[i].n_rows - f->parts[i].n_drafts;
        s->committed += n;
        s->rows.n_ready += f->parts[i].n_out;
        if (f->parts[i].n_out > 0) s->rows.last = f->parts[i].last_out;
        new_epoch(s);
        RMR_ASSERT(s->committed <= s->n_tokens && s->rows.n_ready <= s->rows.n_wanted);
        keep_drafts(s, f->parts[i].n_drafts);
        count_worth(s, f, f->parts[i].n_drafts);
        count(s, n, f->prefill, f->us);
        e->rows_left -= e->rows_left < n ? e->rows_left : n;
    }
    if (f->leaves) {
        lead->rows.left_row = f->left_row;
        lead->rows.left = let_go(f);
    }
    rmr_step_in_progress_drop(lead);
}

/* The slice to run next; NULL when only finishing is left. A head is run until there are no more
 * wanted rows. */
static const rmr_program_slice *next_slice(rmr_step_in_progress *f)
{
    for (; f->next_slice < f->program->n_slices; f->next_slice++) {
        const rmr_program_slice *s = &f->program->slices[f->next_slice];
        if (s->kind == RMR_SLICE_LAYER) return s;
        if (s->kind == RMR_SLICE_HEAD && f->next_want < f->n_want) return s;
    }
    return NULL;
}

static remora_status run_slice(evaluation *e, const rmr_program_slice *slice)
{
    remora_session *lead = e->s[0];
    rmr_step_in_progress *f = &lead->in_progress;
    const uint64_t t0 = rmr_clock_us();
    remora_status st;
    if (slice->kind == RMR_SLICE_HEAD) {
        st = head_pass(e, slice);
    } else {
        st = rmr_context_run(lead->model, f->ctx, slice, e->halt, e->err);
        if (st == REMORA_OK) f->next_slice++;
    }
    f->us += rmr_clock_us() - t0;
    if (e->halt != NULL) rmr_halt_begun(e->halt);
    return st;
}

static remora_status give_up(evaluation *e, remora_status st)
{
    rmr_step_in_progress_drop(e->s[0]);
    RMR_ASSERT(st < 0);
    return st;
}

/* Between evals nothing runs: sessions of the step, or others that get their pages, may be trimmed
 * and freed, and the step may be held by a session that they do not know. */
static remora_status stopped(evaluation *e)
{
    const remora_session *lead = e->s[0];
    const remora_status st = rmr_context_wait(lead->model, lead->in_progress.ctx, e->err);
    if (st < 0) return give_up(e, st);
    if (atomic_load(&e->halt->cause) != RMR_HALT_CANCEL) return REMORA_MORE;
    RMR_FAIL(e->err, REMORA_E_CANCELLED, "evaluation was cancelled");
}

/* Run the step to its end, or until the budget is used up (MORE) or the host says stop. */
static remora_status run_step(evaluation *e)
{
    remora_session *lead = e->s[0];
    rmr_step_in_progress *f = &lead->in_progress;
    for (const rmr_program_slice *s; (s = next_slice(f)) != NULL;) {
        if (e->halt != NULL && !rmr_halt_allows(e->halt, &(rmr_pace){0}, 0)) return stopped(e);
        const remora_status st = run_slice(e, s);
        if (st == REMORA_MORE) return stopped(e);
        if (st < 0) return give_up(e, st);
    }
    const remora_status st = rmr_context_finish(lead->model, f->ctx, f->program, e->err);
    if (st < 0) return give_up(e, st);
    commit(e);
    return REMORA_OK;
}

/* Pending tokens whose rows were evaluated before, as drafts, need no step. */
static remora_status take_ahead(evaluation *e)
{
    uint64_t left = e->rows_left;
    int saves = 1;
    for (size_t i = 0; saves && i < e->n; i++) saves = pending(e->s[i]) == rmr_ahead_fits(e->s[i]);
    for (size_t i = 0; i < e->n; i++) {
        const uint64_t may = allowed(e, i, &left);
        const uint32_t fit = rmr_ahead_fits(e->s[i]), n = may < fit ? (uint32_t)may : fit;
        if (n == 0) continue;
        if (rmr_cancelled(e->o->cancel))
            RMR_FAIL(e->err, REMORA_E_CANCELLED, "evaluation was cancelled");
        rmr_ahead_take(e->s[i], n, saves);
        e->rows_left -= n;
    }
    return REMORA_OK;
}

static remora_status run(evaluation *e)
{
    remora_session *const lead = e->s[0];
    RMR_TRY(rmr_model_files_unchanged(lead->model, e->err));
    RMR_TRY(take_ahead(e));
    if (e->o->flags & REMORA_EVAL_AHEAD) return any_pending(e) ? REMORA_MORE : REMORA_OK;
    for (size_t i = 0; i < e->n; i++)
        if (i > 0 || !step_fits(e)) rmr_step_in_progress_drop(e->s[i]);
    while (lead->in_progress.ctx != NULL || any_pending(e)) {
        if (lead->in_progress.ctx == NULL) {
            if (e->rows_left == 0) return REMORA_MORE;
            RMR_TRY(form_step(e));
        }
        const remora_status st = run_step(e);
        if (st != REMORA_OK) return st;
    }
    return REMORA_OK;
}

static remora_status evaluate(evaluation *e)
{
    rmr_halt halt;
    e->rows_left = e->o->max_tokens > 0 ? e->o->max_tokens : UINT64_MAX;
    if (e->o->budget_us == 0 && e->o->cancel == NULL) return run(e);
    rmr_halt_init(&halt, e->o->cancel, e->o->budget_us, rmr_clock_us());
    e->halt = &halt;
    const remora_status st = run(e);
    const uint64_t longest = rmr_halt_longest(&halt);
    for (size_t i = 0; i < e->n; i++)
        if (longest > e->s[i]->stats.longest_slice_us) e->s[i]->stats.longest_slice_us = longest;
    return st;
}

remora_status rmr_eval(remora_session *const *s, size_t n, const remora_eval_opts *o,
                       remora_error *err)
{
    evaluation e = {
        .s = s, .n = n, .o = o, .most_drafts = rmr_draft_most(o->max_drafts), .err = err};
    return evaluate(&e);
}

remora_status rmr_eval_last(remora_session *s, const remora_eval_opts *o, uint64_t most_drafts,
                            int leave, remora_error *err)
{
    evaluation e = {
        .s = &s, .n = 1, .o = o, .most_drafts = most_drafts, .leave = leave, .err = err};
    return evaluate(&e);
}
