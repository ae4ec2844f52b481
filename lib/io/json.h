/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face JSON. Two ways to read it:
 *
 * - whole (rmr_json_parse): a jansson tree, for configurations. Everything that touches jansson's
 * own limits and error text is here. A tree takes up to about 100 times its text (an empty object
 * of 3 bytes becomes about 300), so callers bound the text first.
 * - member by member (rmr_json_walk): for headers and indexes with 100,000 entries. The walk finds
 * where each key and value of one object begins and ends, without memory; what is inside a small
 * value is then parsed whole.
 *
 * jansson allocates with malloc, not through the host's hook: its API has only a process-wide
 * allocator, which a library must not set (P9). All of it is released before the open call returns.
 */
#ifndef RMR_JSON_H
#define RMR_JSON_H

#include <jansson.h>

#include "error.h"

enum {
    RMR_JSON_DEPTH = 64
}; /* nesting of any document; jansson's own 2048 needs up to a megabyte of stack */

/* jansson chooses the seed of its hash tables with the first object of the process, and reads a
 * file of the system for it. In a child of fork() that began in the middle of that, the next object
 * would wait for ever for the thread that was reading. This hands a seed over instead, if there is
 * none yet, in a few instructions; every source of files calls it before anything is parsed. Where
 * the system has no random numbers it does nothing, and jansson does as ever. */
void rmr_json_seed(void);

/* Parse one JSON document (an object). `file` names it in errors. Duplicate keys, depth and
 * encoding are checked. Strings may hold NUL (as \u0000), keys may not. The result is released with
 * json_decref.
 *
 * A number that no json_t can hold (NaN, Infinity, an integer outside 64 bits, a real outside a
 * double) does not fail the document: it becomes a string that begins with NUL, which no reader of
 * a field accepts. */
remora_status rmr_json_parse(const char *file, const void *data, size_t size, json_t **out,
                             remora_error *err);

/* 1 for the string that stands for a number which no json_t can hold (rmr_json_parse). */
int rmr_json_is_odd(const json_t *v);

/* E_FORMAT: "config.json: vocab_size is a string, not an integer". */
remora_status rmr_json_wrong(const char *file, const char *key, const json_t *v, const char *want,
                             remora_error *err);

/* Fields of an object. Absent or null gives `fallback`; another type or a value out of range is
 * E_FORMAT naming file and field. */
remora_status rmr_json_u32(const char *file, const json_t *obj, const char *key, uint32_t min,
                           uint32_t max, uint32_t fallback, uint32_t *out, remora_error *err);
remora_status rmr_json_number(const char *file, const json_t *obj, const char *key, double fallback,
                              double *out, remora_error *err);
remora_status rmr_json_bool(const char *file, const json_t *obj, const char *key, int fallback,
                            int *out, remora_error *err);
/* NULL when absent or null; the string lives as long as obj. A string with a NUL inside is
 * E_FORMAT. */
remora_status rmr_json_string(const char *file, const json_t *obj, const char *key,
                              const char **out, remora_error *err);

/* A number with the fewest digits that give it back, whatever the host's locale: jansson minds
 * both. 40 bytes are room for all. Empty where memory runs out. */
/* The text of a string without a NUL inside; NULL for any other value, and for none. */
const char *rmr_json_text(const json_t *v);

void rmr_json_number_text(char *buf, size_t cap, const json_t *v);

/* Part of a text, as it stands there: a string with its quotes, an object with its braces. */
typedef struct rmr_json_span {
    const char *text;
    size_t size;
} rmr_json_span;

/* A walk over the members of one object; copy it to walk again from the same place. */
typedef struct rmr_json_walk {
    const char *file;   /* for messages */
    const char *origin; /* byte 0 of messages */
    const char *text, *end;
    uint32_t depth; /* nesting allowed below this object: 0 scalars only, 1 with [] or {} */
    int begun;
} rmr_json_walk;

/* Begin at the object that is all of `text` (white space around it allowed); `text` and `file` must
 * outlive the walk. */
void rmr_json_walk_open(rmr_json_walk *w, const char *file, const char *text, size_t size,
                        uint32_t depth);

/* Begin at a value that `outer` gave. */
void rmr_json_walk_into(rmr_json_walk *w, const rmr_json_walk *outer, rmr_json_span value);

/* The next key and value: OK, or REMORA_END once the object is closed and nothing follows it.
 * Everything between keys and values is checked; what is inside them is not: unquote or parse it.
 */
remora_status rmr_json_walk_next(rmr_json_walk *w, rmr_json_span *key, rmr_json_span *value,
                                 remora_error *err);

/* Decode a string span into buf, NUL-terminated: n < span.size bytes. E_FORMAT when it is no
 * string, its encoding is wrong, it has a NUL inside, or n + 1 > cap. */
remora_status rmr_json_unquote(const char *file, rmr_json_span s, char *buf, size_t cap, size_t *n,
                               remora_error *err);

/* E_FORMAT when the span is not valid JSON. A tree is built for it meanwhile: bound the size of
 * arrays and objects. */
remora_status rmr_json_check(const char *file, rmr_json_span v, remora_error *err);

#endif
