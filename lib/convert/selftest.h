/* SPDX-License-Identifier: Apache-2.0 */
/* A known answer: a model's logits after fixed tokens, stored in its pack by convert and compared
 * by verify, so that a user can tell a damaged download or a wrong build. */
#ifndef RMR_SELFTEST_H
#define RMR_SELFTEST_H

#include <jansson.h>

#include "numerics.h"
#include "session.h"

enum { RMR_SELFTEST_TOP = 5 };

typedef struct rmr_selftest {
    uint32_t numerics;                  /* RMR_NUMERICS of the build that made it */
    remora_token top[RMR_SELFTEST_TOP]; /* ids of the largest logits of the last position */
    float logit[RMR_SELFTEST_TOP];
    float other;     /* the largest logit of another id; not stored */
    float deviation; /* the standard deviation of all logits; not stored */
    char sha256[65]; /* of all logits, f32 little-endian */
} rmr_selftest;

/* Run it: a prompt in the expanded form and single tokens in the absorbed form; fewer where the
 * model's context is shorter. With `stored` the logits of its ids instead of the largest. `cancel`
 * and `stored` may be NULL. E_FORMAT: a logit is not finite. */
remora_status rmr_selftest_run(remora_model *m, const rmr_selftest *stored, const int32_t *cancel,
                               rmr_selftest *out, remora_error *err);

/* As an entry of a manifest (NULL: no memory), and back (E_FORMAT: it is not one). */
json_t *rmr_selftest_json(const rmr_selftest *t);
remora_status rmr_selftest_parse(const json_t *entry, rmr_selftest *out, remora_error *err);

/* OK when the stored answer is the same to the bit or, with `exact` set to 0, when its logits are
 * near and still the largest. Near is within 1e-3 or, when the answer was made by other numerics,
 * within half a standard deviation of all logits: a model that rounds activations to 8 bits and
 * chooses experts turns a changed last bit into a large difference. E_MISMATCH says which values
 * differ. `now` was run with `stored`. */
remora_status rmr_selftest_compare(const rmr_selftest *stored, const rmr_selftest *now, int *exact,
                                   remora_error *err);

#endif
