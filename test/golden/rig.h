/* SPDX-License-Identifier: Apache-2.0 */
/* What the golden tests share: a model opened on the plain or the guarded backend, evaluation that
 * keeps every row, and the comparisons. */
#ifndef RIG_H
#define RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <remora/remora.h>

#include "goldens.h"
#include "host.h"
#include "sanitizers.h"

/* Under a sanitizer the kernels are some thirty times slower: what takes longest is shortened. */
enum { RIG_SLOW = UNDER_ASAN || UNDER_TSAN };

typedef struct rig {
    char folder[1024];
    goldens golden;
    remora_runtime *rt;
    remora_model *model;
    remora_model_info info;
} rig;

/* Folder of a model below REMORA_MODELS and its goldens; 0, with a message, when they are not
 * there. */
int rig_find(rig *r, const char *name);

/* A runtime with so many threads and a forced kernel set (NULL: the best); the calling test fails
 * when it cannot be made, but a kernel set that this machine lacks gives NULL. */
remora_runtime *rig_runtime(int threads, const char *isa);

/* Open the folder on r->rt, which the rig then owns, as the model. */
void rig_open(rig *r, remora_runtime *rt);
void rig_close(rig *r);

remora_session *rig_session(const rig *r, int32_t kv_type, uint32_t chunk);

/* Append n tokens in pieces of `piece` (the whole for 0), `want` each, and evaluate to the end. */
void rig_feed(remora_session *s, const remora_token *t, size_t n, size_t piece, uint32_t want);

const float *rig_row(remora_session *s, uint32_t row, size_t n_vocab);

/* || a - b || / || b ||, in double. */
double rig_distance(const float *a, const float *b, size_t n);

/* Fail unless n rows of the session, from row 0 on, are each within `limit` of the golden's. */
void rig_compare_rows(const rig *r, remora_session *s, const float *golden, size_t n, double limit);

/* Golden tensor of exactly n elements, or the test fails. */
const float *rig_f32(const rig *r, const char *name, size_t n);
const remora_token *rig_ids(const rig *r, const char *name, size_t *n);

/* Continue greedily by n tokens. */
void rig_greedy(const rig *r, remora_session *s, remora_token *out, size_t n);

#endif
