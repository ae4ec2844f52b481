/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a generation. Each token is read once, when it is made, for stop strings and for the
 * length of the text; and turned into text when that is delivered, which is later where text is
 * held back or where the host has no room. Stop strings are UTF-8, so text is held back, and cut,
 * between characters. */
#include <string.h>

#include "session.h"

int rmr_gen_is_silent(const remora_session *s, remora_token t)
{
    return (rmr_tokenizer_flags(s->model->tok, t) &
            (REMORA_TOKEN_CONTROL | REMORA_TOKEN_END_OF_TURN)) != 0;
}

/* Read some bytes. What follows a stop string is no text any more. */
static void read_bytes(rmr_gen *g, const char *p, size_t n, int is_name)
{
    for (size_t i = 0; i < n && g->reason == 0; i++) {
        rmr_stop_hit hit;
        g->n_text += !is_name;
        if (!rmr_stops_read(&g->stops, p[i], is_name, &hit)) continue;
        g->reason = REMORA_REASON_STOP;
        g->stop = hit.string;
        g->text_end = g->n_text - (g->flags & REMORA_GEN_KEEP_STOP ? 0 : hit.n_text);
    }
}

static void read_text(void *gen, const char *p, size_t n)
{
    read_bytes(gen, p, n, 0);
}

remora_status rmr_gen_read(remora_session *s, remora_token t, remora_error *err)
{
    const rmr_tokenizer *tok = s->model->tok;
    const char *name;
    size_t n;
    if (!s->gen.is_text && s->gen.stops.n == 0) return REMORA_OK;
    if (!rmr_gen_is_silent(s, t))
        return rmr_detok_each(tok, &s->gen.detok, t, read_text, &s->gen, err);
    RMR_TRY(rmr_tokenizer_bytes(tok, t, &name, &n, err));
    read_bytes(&s->gen, name, n, 1);
    return REMORA_OK;
}

/* The text behind the last token: of a character that was not finished. */
static remora_status flush(const remora_session *s, remora_detok *detok, char text[4], size_t *n,
                           remora_error *err)
{
    return rmr_detok_flush(s->model->tok, detok, text, 4, n, err);
}

remora_status rmr_gen_ends(remora_session *s, int32_t reason, remora_error *err)
{
    rmr_gen *g = &s->gen;
    remora_detok detok = g->detok;
    char text[4];
    size_t n = 0;
    if (g->is_text) RMR_TRY(flush(s, &detok, text, &n, err));
    g->text_end = g->n_text + n;
    g->reason = reason;
    return REMORA_OK;
}

/* Bytes of text, from the beginning, that no stop string can take away any more. */
static uint64_t certain(const rmr_gen *g)
{
    if (g->reason != 0) return g->text_end;
    return g->n_text - (g->flags & REMORA_GEN_KEEP_STOP ? 0 : rmr_stops_held(&g->stops));
}

typedef struct outlet {
    rmr_gen_call *c;
    uint64_t at;       /* bytes of text before the next character */
    uint64_t from, to; /* the text to deliver */
    int full;
} outlet;

static void put_out(void *user, const char *p, size_t n)
{
    outlet *o = user;
    rmr_gen_call *c = o->c;
    const uint64_t at = o->at;
    o->at += n;
    if (at < o->from || at >= o->to || o->full) return;
    o->full = n > c->cap_text - c->n_text;
    if (o->full) return;
    memcpy(c->text + c->n_text, p, n);
    c->n_text += n;
}

/* The text of the token at the cursor, or what is behind the last one. */
static remora_status token_text(const remora_session *s, remora_detok *detok, outlet *o,
                                remora_error *err)
{
    const rmr_gen *g = &s->gen;
    char text[4];
    size_t n;
    RMR_ASSERT(g->cursor.token <= g->n_tokens);
    if (g->cursor.token == g->n_tokens) {
        RMR_TRY(flush(s, detok, text, &n, err));
        if (n > 0) put_out(o, text, n);
        return REMORA_OK;
    }
    const remora_token t = s->tokens[g->first + g->cursor.token];
    if (rmr_gen_is_silent(s, t)) return REMORA_OK;
    return rmr_detok_each(s->model->tok, detok, t, put_out, o, err);
}

remora_status rmr_gen_deliver(remora_session *s, rmr_gen_call *c, int *left, remora_error *err)
{
    rmr_gen *g = &s->gen;
    outlet o = {.c = c, .from = g->delivered, .to = certain(g)};
    RMR_ASSERT(c->n_text == 0 && o.from <= o.to);
    while (o.from + c->n_text < o.to && !o.full) {
        rmr_gen_cursor next = g->cursor;
        o.at = next.text;
        RMR_TRY(token_text(s, &next.detok, &o, err));
        if (o.at > o.from + c->n_text) break; /* the rest of its text is for another call */
        next.text = o.at;
        next.token++;
        g->cursor = next;
    }
    g->delivered += c->n_text;
    *left = g->delivered < o.to;
    return REMORA_OK;
}
