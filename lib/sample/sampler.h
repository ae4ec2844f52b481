/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler's stages over one row of logits. Knows nothing of models or sessions.
 *
 * A pick loads the row as candidates (NaN and -infinity are no candidates), runs the stages in the
 * order they were added, takes the softmax of what is left in double precision and draws one
 * candidate by inverse CDF. Temperature is 1 unless a TEMPERATURE stage says otherwise, so a
 * sampler without stages samples from the full distribution.
 *
 * The same seed, stages, history and logits give the same token on every machine: the arithmetic is
 * ours (dexp.h), in one order, in our own floating-point mode. Every successful pick takes exactly
 * one number from the generator; a failed one takes none and changes nothing, so the sampler
 * stays usable. A pick does not enter the token into the history: accept does. One thread at a
 * time.
 */
#ifndef RMR_SAMPLER_H
#define RMR_SAMPLER_H

#include "limiter.h"
#include "mem.h"
#include "rng.h"

typedef struct rmr_sampler rmr_sampler;

/* The bytes of a token, *n of them; none for one that stands for no text. */
typedef const char *(*rmr_spell_bytes)(const void *user, remora_token t, size_t *n);

/* The window of a penalty whose count is 0, and the longest one. A sampler remembers as many
 * accepted tokens as the longest window of its stages. */
enum { RMR_SAMPLER_HISTORY = 16384, RMR_SAMPLER_HISTORY_MAX = 1 << 20 };

/* `mem` must outlive the sampler. All buffers of pick are allocated here (12 bytes a token of the
 * vocabulary) and by the first penalty that is added (4 more, and its window). */
remora_status rmr_sampler_create(rmr_mem *mem, uint32_t n_vocab, uint64_t seed, rmr_sampler **out,
                                 remora_error *err);

/* A full, copied struct. The sampler and its clones share its release hook from now on, which the
 * last of them calls; a failure leaves it to the caller. E_ARG for a value outside the stage's
 * range, E_UNSUPPORTED for an unknown kind, E_NOMEM. */
remora_status rmr_sampler_add(rmr_sampler *c, const remora_stage *stage, remora_error *err);
/* A copy, state and all. */
remora_status rmr_sampler_clone(const rmr_sampler *c, rmr_sampler **out, remora_error *err);
void rmr_sampler_reset(rmr_sampler *c, uint64_t seed); /* history and generator */
/* Into the history. */
remora_status rmr_sampler_accept(rmr_sampler *c, remora_token t, remora_error *err);

/* Text that the next tokens have to spell, at most REMORA_HEAL_MAX bytes (spell.h). `user` must
 * live as long as the sampler. E_NOMEM. */
remora_status rmr_sampler_spell(rmr_sampler *c, rmr_spell_bytes bytes, const void *user,
                                const char *text, size_t n, remora_error *err);

/* 1 <= n <= n_vocab logits of the tokens 0 .. n - 1. No allocation. E_ARG, E_NO_TOKEN, E_CALLBACK;
 * *out is written on success only. */
remora_status rmr_sampler_pick(rmr_sampler *c, const float *logits, size_t n, remora_token *out,
                               remora_error *err);

/* The best logits of a row: n tokens, each once, in any order. All other tokens have at most `rest`
 * or NaN. */
typedef struct rmr_best_logits {
    const remora_token *token;
    const float *logit;
    size_t n; /* <= n_vocab */
    float rest;
    float scale; /* 0: what follows is not known */
    float least; /* of all logits that are numbers above -infinity */
    double mass; /* of the other tokens, the sum of e^(scale * (logit - rest)), within 1e-5 of it */
} rmr_best_logits;

/* What a pick depends on: so many of the best logits, more or less, and where the scale is not 0
 * the mass of the others. n 0: on the whole row, or so much of it. */
typedef struct rmr_sampler_wish {
    uint32_t n;
    float scale;
} rmr_sampler_wish;

rmr_sampler_wish rmr_sampler_needs(const rmr_sampler *c);
/* The pick of the row that these are the best of, and its status. MORE: it depends on others;
 * nothing changed. */
remora_status rmr_sampler_pick_best(rmr_sampler *c, const rmr_best_logits *best, remora_token *out,
                                    remora_error *err);

/* A row in runs of `run` tokens, the last one of fewer: of each the highest logit divided by a
 * number, as a temperature divides it (-infinity: there is none above that), and the sum of
 * e^(x - top) of what its logits x are then, in double precision. */
typedef struct rmr_row_masses {
    const float *top;
    const double *mass;
    size_t n, run, n_logits;
    /* The logits [first, first + n); the arrays may change. */
    remora_status (*read)(void *user, size_t first, size_t n, const float **out, remora_error *err);
    void *user;
} rmr_row_masses;

/* The divisor for a pick that draws from all of a row; 0: this is none. */
double rmr_sampler_divisor(const rmr_sampler *c);
/* Such a pick, by the masses and the logits of one run. MORE: it is so close to another token that
 * sums in one order alone tell; nothing changed. */
remora_status rmr_sampler_pick_by_mass(rmr_sampler *c, const rmr_row_masses *m, remora_token *out,
                                       remora_error *err);

/* The state of the generator, to go back to it: what is picked from there on is picked again. */
rmr_rng rmr_sampler_numbers(const rmr_sampler *c);
void rmr_sampler_set_numbers(rmr_sampler *c, rmr_rng numbers);
void rmr_sampler_free(rmr_sampler *c);

/* From now on picks take only tokens that the limiter allows, and it follows those that are
 * accepted; one without ops ends that. Takes the limiter over, also when it fails (E_NOMEM). */
remora_status rmr_sampler_limit(rmr_sampler *c, rmr_limiter limiter, remora_error *err);

/* The token that the limiter leaves no choice about; *n 0: there is none, or a text has to be
 * spelled first; else 1. It depends on the accepted tokens alone, and nothing changes. E_NOMEM,
 * E_LIMIT. */
remora_status rmr_sampler_forced(rmr_sampler *c, remora_token *t, size_t *n, remora_error *err);

/* Take back the last n accepted tokens: of the limiter, of the text to spell and of the history.
 * The generator stays. E_ARG: it cannot know them any more; nothing changed. */
enum { RMR_SAMPLER_BACK = 64 }; /* tokens that a history can go back */
remora_status rmr_sampler_rollback(rmr_sampler *c, size_t n, remora_error *err);

/* The n best of a row, best first (ties: lower id first), with natural-log probabilities under
 * plain softmax in double precision. Writes min(cap, n) entries. NaN counts as -infinity. No
 * allocation. */
void rmr_top(const float *logits, size_t n, remora_token_prob *out, size_t cap, size_t *got);

/* Token t of the row and behind it the k best, k <= n, as rmr_logprob and rmr_top have them. */
void rmr_token_and_top(const float *logits, size_t n, remora_token t, remora_token_prob *out,
                       size_t k);

/* log softmax(logits)[t], in double precision, one fixed order. -infinity for a token outside the
 * row. */
float rmr_logprob(const float *logits, size_t n, remora_token t);

#endif
