/* SPDX-License-Identifier: Apache-2.0 */
/* Letters that differ by case alone: those that the simple case folding of Unicode makes one. So k
 * goes with K and with the sign of kelvins, and one letter never with two. */
#ifndef RMR_LETTER_CASE_H
#define RMR_LETTER_CASE_H

#include "grammar_parts.h"

/* Behind the last of n ranges, add the letters that differ from one in it by case alone. 0: the
 * grammar has failed. */
int rmr_case_ranges(rmr_grammar *g, rmr_cp_range **ranges, size_t *n, size_t *cap);
/* One character, in each case that it has. */
rmr_rx rmr_case_char(rmr_grammar *g, uint32_t cp, rmr_spelling spelling);

#endif
