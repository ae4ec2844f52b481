/* The sampler's stages over one row of logits. Knows nothing of models or sessions. */
#ifndef RMR_CHAIN_H
#define RMR_CHAIN_H

#include "mem.h"

typedef struct rmr_chain rmr_chain;

remora_status rmr_chain_create(rmr_mem *mem, uint32_t n_vocab, uint64_t seed, rmr_chain **out, remora_error *err);
remora_status rmr_chain_add(rmr_chain *c, const remora_stage *stage, remora_error *err); /* a full, copied struct */
remora_status rmr_chain_clone(const rmr_chain *c, rmr_chain **out);                      /* state and all */
void rmr_chain_reset(rmr_chain *c, uint64_t seed);                                       /* history and generator */
remora_status rmr_chain_accept(rmr_chain *c, remora_token t);                            /* into the history */
remora_status rmr_chain_pick(rmr_chain *c, const float *logits, size_t n, remora_token *out);
void rmr_chain_free(rmr_chain *c);

/* The n best of a row, best first (ties: lower id first), with natural-log probabilities under plain softmax in
 * double precision. Writes min(cap, n) entries. No allocation. */
void rmr_top(const float *logits, size_t n, remora_token_prob *out, size_t cap, size_t *got);

/* log softmax(logits)[t], in double precision, one fixed order. */
float rmr_logprob(const float *logits, size_t n, remora_token t);

#endif
