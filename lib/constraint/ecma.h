/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions as ECMAScript writes them (flag u), but for what no regular language has.
 *
 * Supported: literals, `.` (no line end), classes with ranges, \d \w \s \D \W \S \p{..} \P{..}
 * (general categories), \n \r \t \v \f \0 \xHH \uHHHH \u{H..} \cX and escaped punctuation; groups
 * ( ), (?: ), (?<name> ); | * + ? {m} {m,} {m,n}, lazy or not; ^ and $ where nothing stands before
 * or behind them. E_UNSUPPORTED: lookaround, back-references, \b, flags inside, \p with the flag i,
 * ^ and $ with the flag m. E_ARG: what is no regular expression, with the place. */
#ifndef RMR_ECMA_H
#define RMR_ECMA_H

#include "grammar.h"

/* How an expression is read, by the letters that other languages have for it; put together by |. */
typedef enum rmr_ecma_flags {
    RMR_ECMA_ANYWHERE = 1, /* the match is somewhere in the text, as in JSON Schema */
    RMR_ECMA_ANY_CASE = 2, /* i: characters and ranges are letters of either case (letter_case.h) */
    RMR_ECMA_LINES = 4,    /* m: ^ and $ are borders of lines */
    RMR_ECMA_DOT_ALL = 8,  /* s: . is any character */
    RMR_ECMA_VERBOSE = 16, /* x: white space, and # up to the end of its line, mean nothing */
} rmr_ecma_flags;

/* The texts that match as a whole: anchors are implied. With RMR_ECMA_ANYWHERE, what stands before
 * and behind the match is any text. Text is UTF-8 in the given spelling. What the expression gets
 * wrong does not fail the grammar; a limit does. */
remora_status rmr_ecma(rmr_grammar *g, const char *src, size_t n, unsigned flags,
                       rmr_spelling spelling, rmr_rx *out, remora_error *err);

#endif
