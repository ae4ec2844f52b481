/* SPDX-License-Identifier: Apache-2.0 */
/* Regular languages over bytes, as nodes that are each stored once.
 *
 * A node is a number: two that were built alike are one, so a language is compared, remembered and
 * derived by its number. Constructors simplify (empty parts, sorted and flat alternatives, counters
 * that stay counters), and never unroll. The derivative of a node by a byte is the node of what may
 * follow that byte; the lexer is built of these.
 *
 * Constructors cannot fail in the caller's hands: when a limit is reached or memory is short, the
 * set remembers the first reason, and from then on every constructor returns RMR_RX_NONE at once.
 * rmr_rx_status says it. So a front end builds without looking, and asks in its loops and at its
 * end. One thread at a time. */
#ifndef RMR_RX_H
#define RMR_RX_H

#include "mem.h"

typedef uint32_t rmr_rx;

enum {
    RMR_RX_NONE = 0,  /* the empty language: no text at all */
    RMR_RX_EMPTY = 1, /* the empty text alone */
    RMR_RX_ANY = 2,   /* every sequence of bytes, also what is not UTF-8 */
};

#define RMR_RX_MANY UINT32_MAX /* as a maximum of a repetition: without one */

/* A set of bytes: bit b % 64 of word b / 64. */
typedef struct rmr_byte_set {
    uint64_t bits[4];
} rmr_byte_set;

/* Code points lo .. hi, both included. */
typedef struct rmr_cp_range {
    uint32_t lo, hi;
} rmr_cp_range;

/* How code points stand in the text. */
typedef enum rmr_spelling {
    RMR_SPELL_UTF8, /* as UTF-8 */
    /* As in a JSON string, each in its shortest form: \" \\ \b \f \n \r \t, \u00XX for other
     * control characters, UTF-8 for the rest. */
    RMR_SPELL_JSON,
    /* As in a JSON string, in every form that JSON has: \/ and \uXXXX (pairs of surrogates above
     * U+FFFF) with digits of either case too. */
    RMR_SPELL_JSON_ALL,
} rmr_spelling;

typedef struct rmr_rx_set rmr_rx_set;

/* An empty set that may grow to so many nodes. `mem` must outlive it; when its budget ends, that is
 * E_LIMIT. */
remora_status rmr_rx_set_new(rmr_mem *mem, uint32_t max_nodes, rmr_rx_set **out, remora_error *err);
void rmr_rx_set_free(rmr_rx_set *s);

/* What went wrong first: OK, E_LIMIT or E_NOMEM with its text, or what rmr_rx_fail said. */
remora_status rmr_rx_status(const rmr_rx_set *s, remora_error *err);
int rmr_rx_failed(const rmr_rx_set *s); /* something did: loops end */
/* Remember a reason of a front end's own; the first one stays. Returns RMR_RX_NONE. */
rmr_rx rmr_rx_fail(rmr_rx_set *s, remora_status status, const char *text);

/* -- Text -- */
rmr_rx rmr_rx_bytes(rmr_rx_set *s, const rmr_byte_set *set); /* one byte of the set */
rmr_rx rmr_rx_byte(rmr_rx_set *s, unsigned char b);
rmr_rx rmr_rx_literal(rmr_rx_set *s, const char *text, size_t n); /* these bytes */
/* One of n byte strings of these lengths, in any order, doubles allowed; n may be 100,000. */
rmr_rx rmr_rx_strings(rmr_rx_set *s, const char *const *texts, const size_t *lengths, size_t n);
/* One code point of n ranges, in any order, overlapping or not; surrogates are left out. */
rmr_rx rmr_rx_chars(rmr_rx_set *s, const rmr_cp_range *ranges, size_t n, rmr_spelling spelling);
/* One code point of none of the ranges. */
rmr_rx rmr_rx_chars_not(rmr_rx_set *s, const rmr_cp_range *ranges, size_t n, rmr_spelling spelling);

/* -- Combinations; a RMR_RX_NONE among the parts is the empty language -- */
rmr_rx rmr_rx_concat(rmr_rx_set *s, rmr_rx a, rmr_rx b);
rmr_rx rmr_rx_concat_n(rmr_rx_set *s, const rmr_rx *parts, size_t n);
rmr_rx rmr_rx_or(rmr_rx_set *s, const rmr_rx *parts, size_t n);
rmr_rx rmr_rx_and(rmr_rx_set *s, const rmr_rx *parts, size_t n);
rmr_rx rmr_rx_or2(rmr_rx_set *s, rmr_rx a, rmr_rx b);
rmr_rx rmr_rx_and2(rmr_rx_set *s, rmr_rx a, rmr_rx b);
/* All texts that a does not have, over all bytes: combine it with what the text may be at all. */
rmr_rx rmr_rx_not(rmr_rx_set *s, rmr_rx a);
/* a, min to max times (RMR_RX_MANY: without end); min <= max. It stays a counter. */
rmr_rx rmr_rx_repeat(rmr_rx_set *s, rmr_rx a, uint32_t min, uint32_t max);

/* The decimal numbers D+ or D+ "." D+ (without a sign; leading zeros are allowed) that are a
 * multiple of divisor / 10^scale: (7, 0) the multiples of 7, (25, 2) those of 0.25. 0 < divisor <
 * 2^56, scale <= 15. Combine it with the form that the number shall have. */
rmr_rx rmr_rx_multiple(rmr_rx_set *s, uint64_t divisor, uint32_t scale);

/* -- Questions -- */
int rmr_rx_nullable(const rmr_rx_set *s, rmr_rx a); /* it has the empty text */
/* What may follow byte b. */
rmr_rx rmr_rx_derive(rmr_rx_set *s, rmr_rx a, unsigned char b);
/* 1: some text is in the language; 0: none is. Takes from *fuel; when that is used up the set has
 * failed with E_LIMIT, and it is 1. RMR_RX_NONE is the only empty node that needs no search. */
int rmr_rx_live(rmr_rx_set *s, rmr_rx a, uint64_t *fuel);
/* 1: the whole text is in the language. */
int rmr_rx_matches(rmr_rx_set *s, rmr_rx a, const char *text, size_t n);

#endif
