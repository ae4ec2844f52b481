/* SPDX-License-Identifier: Apache-2.0 */
/* Grammars that people write, as grammars that are finished. What is wrong with a source is E_ARG
 * with the line and column, or the rule; what it asks for and cannot have, E_UNSUPPORTED; a bound,
 * E_LIMIT. The grammar may be freed after a failure, and is good for nothing else. */
#ifndef RMR_FRONT_ENDS_H
#define RMR_FRONT_ENDS_H

#include "grammar.h"

/* GBNF as llama.cpp writes it, with the rule `root`; also <[ID]> and !<[ID]> for tokens by number.
 */
remora_status rmr_gbnf(rmr_grammar *g, const char *src, size_t n, remora_error *err);
/* A regular expression (ecma.h) that the whole text matches. */
remora_status rmr_regex(rmr_grammar *g, const char *src, size_t n, remora_error *err);
/* One of these texts. */
remora_status rmr_choices(rmr_grammar *g, const char *const *texts, const size_t *lengths, size_t n,
                          remora_error *err);

#endif
