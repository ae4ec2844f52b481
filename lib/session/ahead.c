/* SPDX-License-Identifier: Apache-2.0 */
#include "ahead.h"

#include <string.h>

#include "session.h"

static uint64_t row_bytes(const remora_session *s)
{
    return s->model->shape.n_vocab * sizeof(float);
}

uint32_t rmr_ahead_make_room(remora_session *s, uint32_t n)
{
    rmr_ahead *a = &s->ahead;
    rmr_backend *be = s->model->be;
    RMR_ASSERT(a->n == 0);
    if (n <= a->cap) return n;
    const uint64_t bytes = n * row_bytes(s);
    float *p = bytes <= SIZE_MAX ? be->ops->host_alloc(be, s->mem, (size_t)bytes) : NULL;
    if (p == NULL) return a->cap;
    rmr_ahead_free(s);
    a->logits = p;
    a->cap = n;
    return n;
}

/* Rows have no hidden states, and are of the absorbed form. */
static int fits(const remora_session *s, uint32_t i)
{
    const uint64_t at = s->committed + i;
    return at < s->n_tokens && s->tokens[at] == s->ahead.token[s->ahead.at + i] &&
           !(s->flags[at] & (RMR_TOKEN_EXPANDED | RMR_TOKEN_WANT_HIDDEN));
}

uint32_t rmr_ahead_fits(const remora_session *s)
{
    const rmr_ahead *a = &s->ahead;
    uint32_t n = 0;
    while (n < a->n && a->first == s->committed && fits(s, n)) n++;
    return n;
}

static void take_row(remora_session *s)
{
    rmr_output_rows *r = &s->rows;
    const size_t width = s->model->shape.n_vocab;
    RMR_ASSERT(r->n_ready < r->n_wanted && r->n_wanted <= r->cap);
    memcpy(r->logits + r->n_ready * width, s->ahead.logits + s->ahead.at * width,
           width * sizeof(float));
    r->has_hidden[r->n_ready++] = 0;
    r->last = s->committed;
}

void rmr_ahead_take(remora_session *s, uint32_t n, int saves)
{
    rmr_ahead *a = &s->ahead;
    RMR_ASSERT(n <= rmr_ahead_fits(s));
    for (uint32_t i = 0; i < n; i++) {
        rmr_session_touch(s, s->committed); /* steps under way have it as a pending one */
        if (s->flags[s->committed] & RMR_TOKEN_WANT) take_row(s);
        s->committed++;
        a->first++;
        a->at++;
        a->n--;
    }
    a->saved += saves ? n : 0;
    s->stats.decode_tokens += n;
    s->stats.drafts_used += n;
}

void rmr_ahead_end(remora_session *s)
{
    rmr_worth_judge(&s->worth, s->ahead.saved);
    s->ahead.n = 0;
}

void rmr_ahead_free(remora_session *s)
{
    rmr_ahead *a = &s->ahead;
    rmr_backend *be = s->model->be;
    be->ops->host_free(be, s->mem, a->logits, (size_t)(a->cap * row_bytes(s)));
    a->logits = NULL;
    a->cap = a->n = 0;
}
