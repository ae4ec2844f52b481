/* SPDX-License-Identifier: Apache-2.0 */
/* An answer read token by token, as events that wait to be fetched: the parser with what turns
 * tokens into marked bytes before it, and a queue behind it. One struct without pointers into
 * itself, but for the parser's markers. */
#ifndef RMR_ANSWER_H
#define RMR_ANSWER_H

#include "parse.h"

enum {
    RMR_ANSWER_PIECE = 64,    /* bytes of text that are taken at a time */
    RMR_ANSWER_SPECIAL = 512, /* ... and of a special token, which is taken whole */
    RMR_ANSWER_FULL = 4096,   /* nothing is taken while so many bytes wait */
    RMR_ANSWER_ROOM = RMR_ANSWER_FULL + 6 * (RMR_ANSWER_SPECIAL + RMR_HELD_MAX + RMR_PARSE_SPACES) +
                      2 * RMR_HELD_MAX,
    RMR_ANSWER_EVENTS = 3 * (RMR_ANSWER_SPECIAL + RMR_HELD_MAX) / RMR_CALL_MIN + 16
};

typedef struct rmr_answer_event {
    uint32_t call;
    uint16_t at, n, n_id; /* the text's place and length; the id stands behind it */
    uint16_t part;
} rmr_answer_event;

typedef struct rmr_answer {
    rmr_chat_parse parse;
    remora_detok detok;
    remora_token token; /* whose bytes from token_at on are still to be taken; NONE */
    uint32_t token_at;
    uint32_t n_text;
    uint16_t n_events;
    uint8_t fetched;  /* the first event has been given out */
    uint8_t finished; /* the end has come; cut says how */
    uint8_t cut;
    rmr_answer_event events[RMR_ANSWER_EVENTS];
    char text[RMR_ANSWER_ROOM];
} rmr_answer;

void rmr_answer_begin(rmr_answer *a, const rmr_markers *m, int state);

/* Take tokens, or bytes, until there is an event to give out: *event is one, until the next call,
 * or NULL when all were taken and none is left. */
remora_status rmr_answer_tokens(rmr_answer *a, const rmr_tokenizer *tok, const remora_token *t,
                                size_t n, size_t *used, const rmr_answer_event **event,
                                remora_error *err);
remora_status rmr_answer_text(rmr_answer *a, const rmr_tokenizer *tok, const char *text, size_t n,
                              size_t *used, const rmr_answer_event **event, remora_error *err);

/* The events that are left at the end; *event is NULL behind the last one. */
remora_status rmr_answer_end(rmr_answer *a, const rmr_tokenizer *tok, int cut,
                             const rmr_answer_event **event, remora_error *err);

#endif
