/* SPDX-License-Identifier: Apache-2.0 */
/* Fill in the middle: the text before and behind a hole, and other files, as the tokens of a
 * prompt. Markers are tokens by id; nothing in the texts becomes one. */
#ifndef RMR_FIM_H
#define RMR_FIM_H

#include "tokenizer.h"

/* A growing list of tokens. */
typedef struct rmr_fim_tokens {
    remora_token *ids;
    size_t n, cap;
} rmr_fim_tokens;

typedef struct rmr_fim_ask {
    const char *prefix, *suffix;
    size_t n_prefix, n_suffix;
    const remora_fim_opts *o;
} rmr_fim_ask;

/* The prompt. E_UNSUPPORTED: the model has no such markers; E_ARG: shares above 100, a limit below
 * what the markers take. The list is the caller's to free, also after an error. */
remora_status rmr_fim(const rmr_tokenizer *t, rmr_mem *mem, const rmr_fim_ask *ask,
                      rmr_fim_tokens *out, remora_fim_info *info, remora_error *err);

void rmr_fim_free(rmr_mem *mem, rmr_fim_tokens *l);

/* The name of the i-th marker that the model has and that ends what fills the hole, or NULL. */
const char *rmr_fim_stop(const rmr_tokenizer *t, uint32_t i);

#endif
