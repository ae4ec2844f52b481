/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include <string.h>

/* -- the queue -- */

static int is_text(int part)
{
    return part == REMORA_PART_REASONING || part == REMORA_PART_CONTENT ||
           part == REMORA_PART_ARGUMENTS || part == REMORA_PART_REST;
}

static void put_bytes(rmr_answer *a, const char *s, size_t n)
{
    RMR_ASSERT(a->n_text + n <= RMR_ANSWER_ROOM);
    if (n > 0) memcpy(a->text + a->n_text, s, n);
    a->n_text += (uint32_t)n;
}

static void put(void *user, int part, const char *text, size_t n, const char *id, size_t n_id)
{
    rmr_answer *a = user;
    rmr_answer_event *last = a->n_events > 0 ? &a->events[a->n_events - 1] : NULL;
    if (last != NULL && last->part == part && is_text(part)) {
        put_bytes(a, text, n);
        last->n = (uint16_t)(last->n + n);
        return;
    }
    RMR_ASSERT(a->n_events < RMR_ANSWER_EVENTS);
    const uint32_t call = a->parse.n_calls > 0 ? a->parse.n_calls - 1 : 0;
    a->events[a->n_events++] = (rmr_answer_event){.call = call,
                                                  .at = (uint16_t)a->n_text,
                                                  .n = (uint16_t)n,
                                                  .n_id = (uint16_t)n_id,
                                                  .part = (uint16_t)part};
    put_bytes(a, text, n);
    put_bytes(a, id, n_id);
}

/* Drop the event that was given out, and move the others to the front. */
static void drop_fetched(rmr_answer *a)
{
    if (!a->fetched) return;
    a->fetched = 0;
    a->n_events--;
    if (a->n_events > 0) memmove(a->events, a->events + 1, a->n_events * sizeof a->events[0]);
    const uint32_t from = a->n_events > 0 ? a->events[0].at : a->n_text;
    if (a->n_events > 1) return; /* the text moves when something is taken again */
    a->n_text -= from;
    memmove(a->text, a->text + from, a->n_text);
    if (a->n_events > 0) a->events[0].at = 0;
}

static int takes_more(const rmr_answer *a)
{
    return a->n_events <= 1 && a->n_text < RMR_ANSWER_FULL;
}

static const rmr_answer_event *fetch(rmr_answer *a)
{
    if (a->n_events == 0) return NULL;
    a->fetched = 1;
    return &a->events[0];
}

/* -- bytes -- */

typedef struct marked {
    rmr_answer *a;
    int mark;
} marked;

static void push(void *user, const char *s, size_t n)
{
    const marked *m = user;
    const rmr_chat_out out = {put, m->a};
    rmr_chat_parse_push(&m->a->parse, s, n, m->mark, &out);
}

/* What is left of a character that is not finished. */
static remora_status flush(rmr_answer *a, const rmr_tokenizer *tok, remora_error *err)
{
    char rest[8];
    size_t n;
    marked m = {a, RMR_BYTE_TEXT};
    RMR_TRY(rmr_detok_flush(tok, &a->detok, rest, sizeof rest, &n, err));
    push(&m, rest, n);
    return REMORA_OK;
}

/* -- tokens -- */

/* A token that is markup: a marker of the format, or another family's, which is no part of an
 * answer. */
static remora_status take_markup(rmr_answer *a, const rmr_tokenizer *tok, remora_token t,
                                 const char *bytes, size_t n, remora_error *err)
{
    const uint32_t flags = rmr_tokenizer_flags(tok, t);
    const rmr_chat_out out = {put, a};
    marked m = {a, RMR_BYTE_SPECIAL};
    RMR_TRY(flush(a, tok, err));
    if (rmr_markers_have(a->parse.m, bytes, n) || !(flags & REMORA_TOKEN_CONTROL))
        push(&m, bytes, n);
    else if (flags & REMORA_TOKEN_END_OF_TURN)
        rmr_chat_parse_stop(&a->parse, &out);
    return REMORA_OK;
}

/* Take the next piece of the token that was begun. */
static remora_status take_piece(rmr_answer *a, const rmr_tokenizer *tok, remora_error *err)
{
    const char *bytes;
    size_t n;
    RMR_TRY(rmr_tokenizer_bytes(tok, a->token, &bytes, &n, err));
    if (rmr_tokenizer_is_markup(tok, a->token) && n <= RMR_ANSWER_SPECIAL) {
        RMR_TRY(take_markup(a, tok, a->token, bytes, n, err));
        a->token = REMORA_TOKEN_NONE;
        return REMORA_OK;
    }
    marked m = {a, RMR_BYTE_TEXT};
    const size_t left = n - a->token_at, piece = left < RMR_ANSWER_PIECE ? left : RMR_ANSWER_PIECE;
    RMR_TRY(rmr_detok_bytes(&a->detok, bytes + a->token_at, piece, push, &m, err));
    a->token_at += (uint32_t)piece;
    if (piece == left) a->token = REMORA_TOKEN_NONE;
    return REMORA_OK;
}

void rmr_answer_begin(rmr_answer *a, const rmr_markers *m, int state)
{
    memset(a, 0, sizeof *a);
    a->token = REMORA_TOKEN_NONE;
    rmr_chat_parse_begin(&a->parse, m, state);
}

remora_status rmr_answer_tokens(rmr_answer *a, const rmr_tokenizer *tok, const remora_token *t,
                                size_t n, size_t *used, const rmr_answer_event **event,
                                remora_error *err)
{
    const char *bytes;
    size_t i = 0, n_bytes;
    drop_fetched(a);
    while (takes_more(a) && (a->token != REMORA_TOKEN_NONE || i < n)) {
        if (a->token == REMORA_TOKEN_NONE) {
            const remora_status st =
                rmr_tokenizer_bytes(tok, t[i], &bytes, &n_bytes, i == 0 ? err : NULL);
            if (st < 0 && (i > 0 || a->n_events > 0)) break;
            RMR_TRY(st);
            a->token = t[i++];
            a->token_at = 0;
        }
        RMR_TRY(take_piece(a, tok, err));
    }
    *used = i;
    *event = fetch(a);
    return REMORA_OK;
}

remora_status rmr_answer_text(rmr_answer *a, const rmr_tokenizer *tok, const char *text, size_t n,
                              size_t *used, const rmr_answer_event **event, remora_error *err)
{
    marked m = {a, RMR_BYTE_UNKNOWN};
    size_t at = 0;
    drop_fetched(a);
    while (takes_more(a) && (a->token != REMORA_TOKEN_NONE || at < n)) {
        if (a->token != REMORA_TOKEN_NONE) {
            RMR_TRY(take_piece(a, tok, err));
            continue;
        }
        const size_t piece = n - at < RMR_ANSWER_PIECE ? n - at : RMR_ANSWER_PIECE;
        RMR_TRY(rmr_detok_bytes(&a->detok, text + at, piece, push, &m, err));
        at += piece;
    }
    *used = at;
    *event = fetch(a);
    return REMORA_OK;
}

remora_status rmr_answer_end(rmr_answer *a, const rmr_tokenizer *tok, int cut,
                             const rmr_answer_event **event, remora_error *err)
{
    const rmr_chat_out out = {put, a};
    drop_fetched(a);
    while (takes_more(a) && a->token != REMORA_TOKEN_NONE) RMR_TRY(take_piece(a, tok, err));
    if (takes_more(a) && !a->finished) {
        RMR_TRY(flush(a, tok, err));
        rmr_chat_parse_finish(&a->parse, cut, &out);
        a->finished = 1;
        a->cut = (uint8_t)cut;
    }
    *event = fetch(a);
    return REMORA_OK;
}
