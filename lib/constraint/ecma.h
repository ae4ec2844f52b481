/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions as ECMAScript writes them (flag u), but for what no regular language has.
 *
 * Supported: literals, `.` (no line end), classes with ranges, \d \w \s \D \W \S \p{..} \P{..}
 * (general categories), \n \r \t \v \f \0 \xHH \uHHHH \u{H..} \cX and escaped punctuation; groups
 * ( ), (?: ), (?<name> ); | * + ? {m} {m,} {m,n}, lazy or not; ^ and $ where nothing stands before
 * or behind them. E_UNSUPPORTED: lookaround, back-references, \b, flags. E_ARG: what is no regular
 * expression, with the place. */
#ifndef RMR_ECMA_H
#define RMR_ECMA_H

#include "grammar.h"

/* The texts that match as a whole (anywhere 0: anchors are implied), or that have a match somewhere
 * in them (1, as in JSON Schema): then what stands before and behind it is any text. Text is UTF-8
 * in the given spelling. What the expression gets wrong does not fail the grammar; a limit does. */
remora_status rmr_ecma(rmr_grammar *g, const char *src, size_t n, int anywhere,
                       rmr_spelling spelling, rmr_rx *out, remora_error *err);

#endif
