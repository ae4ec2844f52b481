/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of rendering share: a prompt that is being written. */
#ifndef RMR_CHAT_RENDERER_H
#define RMR_CHAT_RENDERER_H

#include "json_text.h"
#include "render.h"

/* What was written last, system turns left out. */
enum rmr_chat_before { RMR_BEFORE_NOTHING, RMR_BEFORE_USER, RMR_BEFORE_ANSWER, RMR_BEFORE_RESULTS };

/* What the answer's marker was followed by, where it is written ahead of the answer. */
enum rmr_chat_opened { RMR_OPENED_NOT, RMR_OPENED_ANSWER, RMR_OPENED_REASONING };

typedef struct rmr_renderer {
    const rmr_conversation *c;
    const rmr_chat_wish *wish;
    const rmr_chat_format *f;
    const char *date;
    rmr_chat_writer *w;
    int think;               /* it is on */
    int tools;               /* they are declared */
    int user_seen;           /* a user's text was written */
    int begins_with_calls;   /* the prompt opened them */
    int task;                /* rmr_chat_task: what is asked for in place of an answer */
    int before;              /* rmr_chat_before */
    int opened;              /* rmr_chat_opened */
    ptrdiff_t last_question; /* the last turn that is a question; -1: there is none */
    ptrdiff_t last_plain;    /* the last answer without calls; -1: there is none */
    size_t asked;            /* in_user: the answer whose calls the results of this turn are of */
    size_t next_call;        /* in_user: the call whose result is next */
    size_t n_calls;          /* numbered: calls written so far */
} rmr_renderer;

/* E_ARG or E_UNSUPPORTED when the conversation cannot be rendered as it is wished; fills think,
 * tools and the two positions (render_check.c). */
remora_status rmr_chat_check(rmr_renderer *r);

/* Text of the host, without the white space around it when `trim`. */
void rmr_chat_put_trimmed(rmr_chat_writer *w, const char *s, size_t n, int trim);
/* A role's marker, with the turn's name or else the role where the format has one there. */
void rmr_chat_open(rmr_renderer *r, const char *open, const rmr_chat_turn *t, const char *role);

/* The tag in front of the answer that follows turn i. */
void rmr_chat_tag(rmr_renderer *r, size_t i);
void rmr_chat_put_answer(rmr_renderer *r, size_t i);

/* The section of tools; `alone`: no system text precedes it. */
void rmr_chat_put_tools(rmr_renderer *r, int alone);
void rmr_chat_put_calls(rmr_renderer *r, const rmr_chat_turn *t, int after_text);

/* The results that begin at turn i; returns the turn behind them. */
size_t rmr_chat_put_results(rmr_renderer *r, size_t i);
/* Results in a user's turn: find the answer whose calls they are of, then write one after the other
 * in the order of the calls. */
void rmr_chat_order_results(rmr_renderer *r, size_t first, size_t end);
void rmr_chat_put_next_result(rmr_renderer *r, size_t first, size_t end);

#endif
