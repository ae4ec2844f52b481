/* SPDX-License-Identifier: Apache-2.0 */
#include "draft.h"

#include "clock.h"

enum {
    LONGEST = 8, /* tokens that are compared: of several places the longest match counts, and of
                    those the last one */
    MIDDLE = 4,
    SHORTEST = 2
};

/* Tokens before t[i + 1] that are those at the end of t[0, n), with t[i] as the last one. */
static uint32_t match(const remora_token *t, uint64_t i, uint64_t n)
{
    uint32_t m = 0;
    while (m < LONGEST && m <= i && t[i - m] == t[n - 1 - m]) m++;
    return m;
}

/* What follows the end of the timeline is what has been drafted. */
static void copy(const remora_token *t, uint64_t n, uint64_t from, remora_token *out, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++) out[i] = from + i < n ? t[from + i] : out[from + i - n];
}

uint32_t rmr_draft_look_up(const remora_token *t, uint64_t n, remora_token *out, uint32_t most,
                           uint32_t *same)
{
    uint32_t best = SHORTEST - 1;
    uint64_t at = 0;
    *same = 0;
    if (n < 2) return 0;
    for (uint64_t i = n - 1; i-- > 0 && best < LONGEST;) {
        const uint32_t m = t[i] == t[n - 1] ? match(t, i, n) : 0;
        if (m <= best) continue;
        best = m;
        at = i;
    }
    if (best < SHORTEST) return 0;
    *same = best;
    copy(t, n, at + 1, out, most);
    return most;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Rows of drafts must leave no trace but time. */
static int shows(const remora_model *m)
{
    return m->importance.buffer != NULL || m->dump != NULL ||
           atomic_load_explicit(&m->count_routing, memory_order_relaxed) != 0;
}

/* The run that they end has to be of the absorbed form and one that is no prompt. */
static uint64_t room(const remora_session *s)
{
    const uint64_t pending = s->n_tokens - s->committed,
                   rows = least(s->chunk, RMR_PROMPT_TOKENS - 1),
                   slots = least(s->capacity, rmr_pages_for(s->n_tokens) * RMR_PAGE_TOKENS);
    if (pending == 0 || pending >= rows) return 0;
    for (uint64_t i = s->committed; i < s->n_tokens; i++)
        if (s->flags[i] & RMR_TOKEN_EXPANDED) return 0;
    return least(least(rows - pending, slots - s->n_tokens), RMR_MOST_DRAFTS);
}

static rmr_worth_choice choose(remora_session *s, const rmr_draft_wish *w, rmr_draft_source source,
                               uint32_t most)
{
    if (w->if_worth) return rmr_worth_choose(&s->worth, &w->step, source, most, w->left_us);
    return (rmr_worth_choice){most, most > 0};
}

static rmr_draft_source source_of(uint32_t same)
{
    if (same < MIDDLE) return RMR_DRAFT_SHORT;
    return same < LONGEST ? RMR_DRAFT_MIDDLE : RMR_DRAFT_LONG;
}

/* Drafts of the prediction layer. Making them may be stopped, and then there are fewer. */
static uint32_t predict(remora_session *s, const rmr_draft_wish *w, uint32_t n)
{
    const rmr_drafter *d = s->drafter;
    const uint64_t start = rmr_clock_us();
    rmr_halt halt;
    rmr_halt_init(&halt, w->cancel, w->left_us, start);
    const uint32_t got = rmr_predictor_draft(s, n, &halt, s->ahead.token);
    const uint64_t longest = rmr_halt_longest(&halt);
    s->ahead.us = d != NULL && d->us != NULL ? n * d->us(d->user, 0) : rmr_clock_us() - start;
    s->ahead.source = RMR_DRAFT_PREDICTED;
    if ((w->left_us > 0 || w->cancel != NULL) && longest > s->stats.longest_slice_us)
        s->stats.longest_slice_us = longest;
    if (got == 0) rmr_worth_lost(&s->worth, &w->step, s->ahead.us);
    return got;
}

/* Drafts of the best source there is. With no measure a long match is better than the layer, and
 * that better than a short one. */
static uint32_t find(remora_session *s, const rmr_draft_wish *w, uint32_t most)
{
    rmr_ahead *a = &s->ahead;
    uint32_t same;
    a->us = 0;
    a->source = RMR_DRAFT_HOOK;
    if (s->drafter != NULL && s->drafter->draft != NULL)
        return choose(s, w, a->source, s->drafter->draft(s->drafter->user, s, a->token, most)).n;
    const uint32_t n = rmr_draft_look_up(s->tokens, s->n_tokens, a->token, most, &same);
    a->source = source_of(same);
    const rmr_worth_choice text = choose(s, w, a->source, n);
    if (!rmr_predictor_ready(s) || (!w->if_worth && same >= MIDDLE)) return text.n;
    const rmr_worth_choice layer = choose(s, w, RMR_DRAFT_PREDICTED, most);
    return layer.n > 0 && layer.speed >= text.speed ? predict(s, w, layer.n) : text.n;
}

void rmr_draft(remora_session *s, const rmr_draft_wish *w)
{
    const uint32_t most = (uint32_t)least(w->most, room(s));
    s->ahead.made = 0;
    if (most == 0 || shows(s->model)) return;
    RMR_ASSERT(rmr_ahead_fits(s) == 0);
    rmr_session_touch(s, s->committed); /* a step under way may have other drafts */
    rmr_ahead_end(s);
    const uint32_t n = find(s, w, most), cap = rmr_ahead_make_room(s, n);
    s->ahead.made = cap < n ? cap : n;
}

remora_status rmr_draft_check(uint32_t max_drafts, remora_error *err)
{
    if (max_drafts > RMR_MOST_DRAFTS && max_drafts != REMORA_DRAFTS_AUTO)
        RMR_FAIL(err, REMORA_E_ARG, "max_drafts is %u, at most %d are supported, or DRAFTS_AUTO",
                 max_drafts, RMR_MOST_DRAFTS);
    return REMORA_OK;
}

uint32_t rmr_draft_most(uint32_t max_drafts)
{
    return max_drafts == REMORA_DRAFTS_AUTO ? RMR_MOST_DRAFTS : max_drafts;
}
