/* SPDX-License-Identifier: Apache-2.0 */
/* JSON looked at byte by byte, without a tree: is it a value so far, and where does it end. */
#ifndef RMR_JSON_SCAN_H
#define RMR_JSON_SCAN_H

#include <stddef.h>
#include <stdint.h>

enum { RMR_JSON_SCAN_DEPTH = 64 };

/* What can be said of the bytes so far. */
enum rmr_json_scan_result {
    RMR_JSON_BAD,  /* they begin no value */
    RMR_JSON_OPEN, /* they begin one */
    RMR_JSON_WHOLE /* they are one; white space or, of a number, more digits may follow */
};

/* Zero it to begin; copy it to branch. Values deeper than RMR_JSON_SCAN_DEPTH are bad. */
typedef struct rmr_json_scan {
    uint64_t is_array; /* a bit for each open bracket */
    uint8_t depth;
    uint8_t state;
    uint8_t is_key; /* the string is a member's name */
    uint8_t hex;    /* digits of \u to come */
    uint8_t n_word; /* bytes seen of true, false or null */
    uint8_t word;   /* its first byte */
} rmr_json_scan;

int rmr_json_scan_push(rmr_json_scan *s, uint8_t c); /* rmr_json_scan_result */

/* A walk that only knows strings and brackets, for text that is most likely JSON and passed on
 * whatever it is. */
typedef struct rmr_json_nest {
    uint32_t depth; /* open brackets */
    uint8_t begun;  /* something else than white space was there */
    uint8_t in_string, escaped;
    uint8_t ended; /* the value, a string or something in brackets, is complete */
} rmr_json_nest;

void rmr_json_nest_push(rmr_json_nest *w, uint8_t c);

static inline int rmr_json_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The byte as it stands inside a JSON string; at most 6 bytes. Returns their number. */
size_t rmr_json_escape(uint8_t c, char out[6]);

#endif
