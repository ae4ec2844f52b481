/* SPDX-License-Identifier: Apache-2.0 */
/* Token healing: a text that ends in the middle of a word ends in tokens that the model would have
 * written in another way. They are taken back, and what is made begins with their bytes. */
#ifndef RMR_FIM_HEAL_H
#define RMR_FIM_HEAL_H

#include "tokenizer.h"

/* How many of ids[from .. n - 1] stay: n less the most of the last four whose text is the beginning
 * of a longer token. heal gets that text, *n_heal bytes. Goes once over the vocabulary. */
size_t rmr_fim_heal(const rmr_tokenizer *t, const remora_token *ids, size_t from, size_t n,
                    char heal[REMORA_HEAL_MAX], uint32_t *n_heal);

#endif
