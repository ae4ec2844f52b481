/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema, drafts 4 to 2020-12, as rules of a grammar: the JSON texts that a schema allows.
 *
 * No text that the schema refuses is in the language. What cannot be held to that is refused by
 * name (E_UNSUPPORTED), or left out and listed when `lax` is set. docs/schema.md says what is
 * enforced, and which spellings of a value the language has: keys come in any order, strings and
 * numbers are in their shortest form where the schema says more of them than their type. */
#ifndef RMR_SCHEMA_H
#define RMR_SCHEMA_H

#include "grammar.h"

typedef enum rmr_schema_space {
    RMR_SPACE_ONE,  /* at most one space behind a comma and a colon */
    RMR_SPACE_NONE, /* no white space */
    RMR_SPACE_FREE, /* up to 20 spaces and line ends around what brackets, commas and colons part */
} rmr_schema_space;

/* How the members of an object are written that stand one by one and not as JSON (arguments of
 * calls in some chat formats). With `between` between two:
 *
 *     begin KEY text STRING close      a string as it is
 *     begin KEY json VALUE close       every other value, as JSON
 *
 * `end` follows the last one, `none` stands where there is no member; neither may match the empty
 * text. */
typedef enum rmr_member_kind {
    RMR_MEMBER_EITHER,
    RMR_MEMBER_TEXT,
    RMR_MEMBER_JSON
} rmr_member_kind;

typedef struct rmr_schema_members {
    rmr_rule begin, text, json, close, between, end, none;
    rmr_rx keys;    /* what a key may be; RMR_RX_ANY: anything */
    rmr_rx strings; /* what a string may be */
    rmr_rx vague;   /* ... where nothing but the text says whether the value is one */
    /* Which values a key's are read as (rmr_member_kind); NULL: either. */
    int (*kind)(void *user, const char *key, size_t n);
    void *user;
} rmr_schema_members;

typedef struct rmr_schema_opts {
    rmr_schema_space space;
    int object;                        /* the value is an object, whatever the schema says */
    const rmr_schema_members *members; /* of that object; NULL: it is JSON */
    int draft;                         /* 4, 6, 7, 2019, 2020; 0: as $schema says, else 2020 */
    int lax;                           /* what cannot be enforced is left out */
    /* Called once for each place that lax leaves out, with its way and what it asks for. May be
     * NULL. */
    void (*left_out)(void *user, const char *what);
    void *user;
} rmr_schema_opts;

/* The rule of all values of the schema in `text` (JSON, UTF-8). `o` may be NULL. E_FORMAT: it is no
 * JSON; E_ARG: a keyword has a value that it may not have; E_UNSUPPORTED: a keyword that is not
 * enforced, with its name; E_LIMIT, E_NOMEM. */
remora_status rmr_schema(rmr_grammar *g, const char *text, size_t n, const rmr_schema_opts *o,
                         rmr_rule *out, remora_error *err);

#endif
