/* SPDX-License-Identifier: Apache-2.0 */
/* Stop strings: whether a text that comes byte by byte has one of them, and how much of its end may
 * still become one.
 *
 * The text has two readings: as it is, and with the names of control tokens in it. A stop string in
 * either of them counts. Each string has its place in the automaton of Knuth, Morris and Pratt, one
 * for each reading, so that a byte costs a step or two for a string, however long strings are. */
#ifndef RMR_STOP_H
#define RMR_STOP_H

#include "arena.h"

enum { RMR_STOPS_MAX = 1024, RMR_STOP_BYTES_MAX = 4096 };

enum { /* readings of a text */
       RMR_READ_TEXT,
       RMR_READ_NAMED, /* with the names of control tokens */
       RMR_READINGS
};

typedef struct rmr_stops {
    uint32_t n, longest; /* strings; bytes of the longest one */
    uint32_t *begin;     /* [n + 1] where string i begins in `text` */
    char *text;          /* all strings, one after another */
    uint16_t *border;    /* [bytes of text] of a string's first bytes up to here, the longest part
                            that begins and ends them */
    uint16_t *matched[RMR_READINGS]; /* [n] bytes of string i that end the reading, below all */
    uint8_t *is_name; /* [longest] of byte b of the named reading, at b % longest: part of a name */
    uint64_t n_named; /* bytes of the named reading so far */
    uint64_t block_bytes;
} rmr_stops;

/* A stop string that the text has come to have. */
typedef struct rmr_stop_hit {
    uint32_t string;
    uint32_t n_text; /* bytes of the text that belong to it: all but the names of control tokens */
} rmr_stop_hit;

/* E_ARG for strings that are none, too many, empty, too long or not UTF-8. */
remora_status rmr_stops_check(const remora_gen_opts *o, remora_error *err);

/* 1 when o has the same strings. */
int rmr_stops_same(const rmr_stops *st, const remora_gen_opts *o);

/* Copy the checked strings of o, with nothing read yet. E_NOMEM. */
remora_status rmr_stops_make(rmr_stops *st, rmr_mem *mem, const remora_gen_opts *o,
                             remora_error *err);
void rmr_stops_free(rmr_stops *st, rmr_mem *mem);

/* Read the next byte, of a control token's name or of the text. 1 when a stop string is complete
 * with it; of several that are, the one with the most text, of equal ones the first. */
int rmr_stops_read(rmr_stops *st, char byte, int is_name, rmr_stop_hit *hit);

/* The number of bytes at the end of the text that may become a part of a stop string. */
uint32_t rmr_stops_held(const rmr_stops *st);

#endif
