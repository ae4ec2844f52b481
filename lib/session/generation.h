/* SPDX-License-Identifier: Apache-2.0 */
/* A generation: what calls of generate that go on from each other have in common. */
#ifndef RMR_GENERATION_H
#define RMR_GENERATION_H

#include "sampler.h"
#include "stop.h"
#include "tokenizer.h"

/* The place in a generation's text up to which tokens have been turned into delivered text. */
typedef struct rmr_gen_cursor {
    uint64_t token;     /* of the generation: the first with text that is not delivered */
    remora_detok detok; /* before that token */
    uint64_t text;      /* bytes of text before it */
} rmr_gen_cursor;

/* The session's generation. Its counts stay after its end. Text is kept nowhere: text that was not
 * delivered is made once more from the tokens, which lie in the timeline. */
typedef struct rmr_gen {
    int active;
    int is_text; /* delivers text */
    uint32_t flags;
    uint64_t max_tokens; /* its options */
    rmr_stops stops;
    uint64_t first;     /* position of its first token */
    uint64_t n_tokens;  /* made so far */
    remora_detok detok; /* behind the last of them */
    uint64_t n_text;    /* bytes of text read so far */
    uint64_t text_end;  /* bytes of text that are delivered in all, once the end is known */
    uint64_t delivered; /* bytes of text */
    rmr_gen_cursor cursor;
    int32_t reason; /* REMORA_REASON_* once the end is known */
    uint32_t stop;  /* the stop string, when that is the reason */
} rmr_gen;

/* One call of generate. */
typedef struct rmr_gen_call {
    rmr_sampler *sampler;
    const remora_gen_opts *o;
    remora_token *tokens; /* NULL: the host does not ask for them */
    size_t cap_tokens;    /* room in `tokens` */
    size_t n_tokens;      /* made by this call */
    char *text;           /* NULL: the host asks for tokens alone */
    size_t cap_text, n_text;
    uint64_t start_us;
} rmr_gen_call;

/* Deliver tokens, or tokens and text; what they are goes to c->n_tokens and c->n_text. */
remora_status rmr_generate(remora_session *s, rmr_gen_call *c, remora_error *err);
void rmr_gen_end(remora_session *s);

/* -- generate_text.c -- */
/* 1 for a token that gives no text: markup, and whatever ends a turn. */
int rmr_gen_is_silent(const remora_session *s, remora_token t);
/* Read the token that was made last: its text, and what of it belongs to stop strings. */
remora_status rmr_gen_read(remora_session *s, remora_token t, remora_error *err);
/* The end is known: it is not a stop string. */
remora_status rmr_gen_ends(remora_session *s, int32_t reason, remora_error *err);
/* Deliver the text that is certain, as far as there is room; *left is 1 when some had none. */
remora_status rmr_gen_deliver(remora_session *s, rmr_gen_call *c, int *left, remora_error *err);

#endif
