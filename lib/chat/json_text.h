/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as text: looked at where it lies, without a tree, and printed anew as Python's json.dumps
 * does, which is how models have seen it. */
#ifndef RMR_CHAT_JSON_TEXT_H
#define RMR_CHAT_JSON_TEXT_H

#include "json.h"
#include "writer.h"

/* The span of the one value that all of `text` is, white space around it left out. E_FORMAT names
 * the byte where it is no JSON, is nested deeper than RMR_JSON_DEPTH, or has half a surrogate. The
 * functions below take such values and their parts. */
remora_status rmr_json_text_check(const char *what, const char *text, size_t n, rmr_json_span *out,
                                  remora_error *err);

/* What a value is: '{', '[', '"', 't', 'f', 'n', or '0' for a number. */
char rmr_json_text_kind(rmr_json_span v);

/* The members of an object or the elements of an array, one after the other. */
typedef struct rmr_json_items {
    const char *at, *end;
} rmr_json_items;

rmr_json_items rmr_json_text_open(rmr_json_span v);
int rmr_json_text_member(rmr_json_items *it, rmr_json_span *key, rmr_json_span *value);
int rmr_json_text_element(rmr_json_items *it, rmr_json_span *value);

/* The first member of an object that has this key; 0 where there is none. */
int rmr_json_text_get(rmr_json_span object, const char *key, rmr_json_span *value);

/* Decode a string to out, which has room for size - 2 bytes; returns how many it has. */
size_t rmr_json_text_decode(rmr_json_span s, char *out);

/* 1 when the string is `text`. */
int rmr_json_text_is(rmr_json_span s, const char *text);

/* Print a value on one line, or (indent > 0) as json.dumps(indent=..) does. */
void rmr_json_text_print(rmr_chat_writer *w, rmr_json_span v, uint32_t indent);

/* Print text as a JSON string. */
void rmr_json_text_quote(rmr_chat_writer *w, const char *s, size_t n);

#endif
