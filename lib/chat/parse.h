/* SPDX-License-Identifier: Apache-2.0 */
/* A model's output read back: bytes in, parts of the answer out (reasoning, text, calls with their
 * arguments as JSON), whatever the pieces are that it comes in. The state is one struct without
 * pointers into itself: copying it branches, and putting a copy back takes a stretch of output
 * back. Nothing is allocated. */
#ifndef RMR_PARSE_H
#define RMR_PARSE_H

#include "json_scan.h"
#include "markers.h"

enum rmr_parse_state {
    RMR_PARSE_START, /* text, or reasoning that the model opens itself */
    RMR_PARSE_REASONING,
    RMR_PARSE_CONTENT,
    RMR_PARSE_CALLS,     /* in the block of calls, between two */
    RMR_PARSE_NAME,      /* of a call */
    RMR_PARSE_ARGUMENTS, /* JSON that is passed on as it is */
    RMR_PARSE_TAIL,      /* between it and the end of the call */
    RMR_PARSE_PARAMS,    /* between arguments that come one by one */
    RMR_PARSE_KEY,       /* the name of one */
    RMR_PARSE_KIND,      /* whether it is a string */
    RMR_PARSE_VALUE,
    RMR_PARSE_AFTER, /* behind calls */
    RMR_PARSE_LOST,  /* behind markup that breaks the format */
    RMR_PARSE_ENDED  /* behind a token that ends the turn */
};

/* What bytes of the output turned out to be, beside the parts of remora.h; rmr_chat_parse.bytes
 * counts them. */
enum { RMR_PART_MARKUP = REMORA_PART_END, RMR_PARTS };

/* Where an event goes. `id` is the call's own in families that have ids, else empty. Text of
 * REASONING, CONTENT, ARGUMENTS and REST comes in pieces of any size. */
typedef struct rmr_chat_out {
    void (*put)(void *user, int part, const char *text, size_t n, const char *id, size_t n_id);
    void *user;
} rmr_chat_out;

enum { RMR_PARSE_SPACES = 256 }; /* most newlines before </think>, or spaces before <think> */

typedef struct rmr_chat_parse {
    const rmr_markers *m; /* borrowed */
    uint64_t bytes[RMR_PARTS];
    uint64_t tool_key, key; /* hashes of the call's name, and of that with the argument's */
    uint32_t n_calls;
    uint16_t n_held;   /* bytes that may become a marker */
    uint16_t n_name;   /* of a call; also spaces at the start, a kind, an undecided value */
    uint16_t newlines; /* held back, before n_held */
    uint8_t state;
    uint8_t said;         /* something of the reasoning has been given out */
    uint8_t skipped;      /* bytes of rmr_markers.skip; all where the answer has begun */
    uint8_t drop_newline; /* newlines before the text go */
    uint8_t open_call;    /* CALL has no CALL_END yet */
    uint8_t in_params;    /* an argument has been written */
    uint8_t is_text;      /* the value is a string: 0, 1, or UNDECIDED */
    uint8_t broken;
    rmr_json_nest walk;
    rmr_json_scan scan;
    uint8_t held[RMR_HELD_MAX], marks[RMR_HELD_MAX];
    char name[RMR_HELD_MAX];
} rmr_chat_parse;

/* Begin at RMR_PARSE_START, _REASONING, _CONTENT or _CALLS: where the prompt ended. */
void rmr_chat_parse_begin(rmr_chat_parse *p, const rmr_markers *m, int state);

/* The next n bytes, all with the same mark (rmr_byte_mark). What is put out for them is at most
 * 6 * (n + RMR_HELD_MAX + RMR_PARSE_SPACES) + 2 * RMR_HELD_MAX bytes. */
void rmr_chat_parse_push(rmr_chat_parse *p, const char *text, size_t n, int mark,
                         const rmr_chat_out *out);

/* A token came that ends the turn and is none of the format's stops. */
void rmr_chat_parse_stop(rmr_chat_parse *p, const rmr_chat_out *out);

/* The bytes that are held back. */
size_t rmr_chat_parse_held(const rmr_chat_parse *p);

/* The end of the output. cut: it did not end by itself, so the beginning of a marker at its end is
 * one and no text. Puts out what was held back. */
void rmr_chat_parse_finish(rmr_chat_parse *p, int cut, const rmr_chat_out *out);

/* rmr_parse_state. */
static inline int rmr_chat_parse_where(const rmr_chat_parse *p)
{
    return p->state;
}

#endif
