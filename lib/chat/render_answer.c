/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: the assistant's marker, past reasoning, text and calls. */
#include <string.h>

#include "renderer.h"

typedef struct piece {
    const char *p;
    size_t n;
} piece;

/* The first or last place of `what` in s; NULL when it is not there. */
static const char *find(piece s, const char *what, int last)
{
    const size_t n = strlen(what);
    const char *hit = NULL;
    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, what, n) == 0) {
            hit = s.p + i;
            if (!last) break;
        }
    return hit;
}

static piece behind(piece s, const char *at, size_t n)
{
    return (piece){at + n, (size_t)(s.p + s.n - at) - n};
}

static piece without_newlines(piece s, int front, int back)
{
    while (front && s.n > 0 && s.p[0] == '\n') s.p++, s.n--;
    while (back && s.n > 0 && s.p[s.n - 1] == '\n') s.n--;
    return s;
}

/* Take reasoning between tags out of the text, where the host gave none apart from it. */
static void split_inline(const rmr_renderer *r, piece *text, piece *reasoning)
{
    const rmr_chat_think *k = &r->f->think;
    const char *first = find(*text, k->close, 0), *last = find(*text, k->close, 1);
    if (reasoning->n > 0 || first == NULL) return;
    *reasoning = without_newlines((piece){text->p, (size_t)(first - text->p)}, 0, 1);
    const char *open = find(*reasoning, k->open, 1);
    if (open != NULL) *reasoning = behind(*reasoning, open, strlen(k->open));
    *reasoning = without_newlines(*reasoning, 1, 0);
    *text = without_newlines(behind(*text, last, strlen(k->close)), 1, 0);
}

static piece cut(const rmr_renderer *r, piece text)
{
    const int past = r->f->think.past;
    if (past != RMR_PAST_CUT_LAST && past != RMR_PAST_CUT_FIRST && past != RMR_PAST_QWQ)
        return text;
    const char *at = find(text, r->f->think.close, past != RMR_PAST_CUT_FIRST);
    if (at == NULL) return text;
    text = behind(text, at, strlen(r->f->think.close));
    return without_newlines(text, past == RMR_PAST_QWQ, 0);
}

/* 1 when the reasoning of an answer at place i, or behind a question at i, is written. */
static int keeps(const rmr_renderer *r, ptrdiff_t i)
{
    switch (r->f->think.past) {
    case RMR_PAST_QWEN3:
    case RMR_PAST_GLM: return i > r->last_question;
    case RMR_PAST_KIMI: return i > r->last_plain;
    case RMR_PAST_DSML32: return r->think && i >= r->last_question;
    case RMR_PAST_DSML4: return r->think && (r->tools || i >= r->last_question);
    default: return 0;
    }
}

void rmr_chat_tag(rmr_renderer *r, size_t i)
{
    const rmr_chat_think *k = &r->f->think;
    const int on = k->past >= RMR_PAST_DSML32 ? keeps(r, (ptrdiff_t)i) : 0;
    rmr_chat_mark(r->w, on ? k->on : k->answered);
    r->opened = on ? RMR_OPENED_REASONING : RMR_OPENED_ANSWER;
}

/* Write reasoning back. Returns 0 where the answer ends inside it. */
static int put_reasoning(rmr_renderer *r, piece s, int ends_here)
{
    const rmr_chat_think *k = &r->f->think;
    if (r->opened != RMR_OPENED_REASONING && r->f->open != RMR_OPEN_WITH_USER)
        rmr_chat_mark(r->w, k->past_open);
    rmr_chat_put_trimmed(r->w, s.p, s.n, k->past == RMR_PAST_GLM);
    if (ends_here) return 0;
    rmr_chat_mark(r->w, k->past_close);
    return 1;
}

/* What stands between the marker and the text. Returns 0 where the answer ends inside it. */
static int put_think(rmr_renderer *r, size_t i, int marked, piece *text)
{
    const rmr_chat_turn *t = &r->c->turns[i];
    const rmr_chat_think *k = &r->f->think;
    const int last = i + 1 == r->c->n_turns, kept = keeps(r, (ptrdiff_t)i);
    piece reasoning = {t->reasoning.p, t->reasoning.n};
    if (k->past == RMR_PAST_QWEN3 || k->past == RMR_PAST_GLM) split_inline(r, text, &reasoning);
    if (k->past == RMR_PAST_QWEN3) {
        reasoning = without_newlines(reasoning, 1, 1);
        if (!kept || (!last && reasoning.n == 0)) return 1;
        *text = without_newlines(*text, 1, 0);
    }
    const int ends_here = last && r->wish->go_on && text->n == 0 && reasoning.n > 0;
    if (kept && (k->past != RMR_PAST_GLM || reasoning.n > 0))
        return put_reasoning(r, reasoning, ends_here);
    if (r->opened != RMR_OPENED_NOT) return 1; /* the tag is there */
    if (marked && last && r->wish->go_on && t->prefix && r->think && k->past == RMR_PAST_CUT_FIRST)
        rmr_chat_mark(r->w, k->on);
    else if (marked)
        rmr_chat_mark(r->w, k->answered);
    return 1;
}

static int put_marker(rmr_renderer *r, const rmr_chat_turn *t)
{
    int marked = 0;
    switch (r->f->open) {
    case RMR_OPEN_ALWAYS: marked = 1; break;
    case RMR_OPEN_UNLESS_RESULTS: marked = r->before != RMR_BEFORE_RESULTS; break;
    case RMR_OPEN_IF_ASKED: marked = r->before == RMR_BEFORE_USER; break;
    default: break;
    }
    if (marked) rmr_chat_open(r, r->f->assistant.open, t, "assistant");
    return marked;
}

void rmr_chat_put_answer(rmr_renderer *r, size_t i)
{
    const rmr_chat_turn *t = &r->c->turns[i];
    const int continued = r->wish->go_on && i + 1 == r->c->n_turns;
    piece text = cut(r, (piece){t->text.p, t->text.n});
    const int marked = put_marker(r, t);
    const int goes_on = put_think(r, i, marked, &text);
    const size_t at = r->w->n;
    if (goes_on && !(t->n_calls > 0 && r->f->calls.no_text))
        rmr_chat_put_trimmed(r->w, text.p, text.n, r->f->trim || r->f->trim_answer);
    r->opened = goes_on ? RMR_OPENED_NOT : RMR_OPENED_REASONING;
    r->before = RMR_BEFORE_ANSWER;
    if (continued) return;
    rmr_chat_put_calls(r, t, r->w->n > at);
    rmr_chat_mark(r->w, r->f->assistant.close);
}
