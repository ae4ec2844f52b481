/* A known answer: what a model says to fixed tokens, stored in its pack by convert and compared by
 * verify, so that a user can tell a damaged download or a wrong build. */
#ifndef RMR_SELFTEST_H
#define RMR_SELFTEST_H

#include <jansson.h>

#include "session.h"

enum { RMR_SELFTEST_TOP = 5 };

typedef struct rmr_selftest {
    remora_token top[RMR_SELFTEST_TOP]; /* ids of the largest logits of the last position */
    float logit[RMR_SELFTEST_TOP];
    uint8_t sha256[32]; /* of all of them, f32 little-endian */
} rmr_selftest;

/* Run it: a prompt in the expanded form and single tokens in the absorbed form; fewer where the
 * model's context is shorter. `cancel` may be NULL. */
remora_status rmr_selftest_run(remora_model *m, const int32_t *cancel, rmr_selftest *out,
                               remora_error *err);

/* As an entry of a manifest. NULL: no memory. */
json_t *rmr_selftest_json(const rmr_selftest *t);

/* OK when the stored answer is the same to the bit or, where `exact` is set to 0, its largest
 * logits are the same ids and within 1e-3; E_MISMATCH says what differs; E_FORMAT: it is not one.
 */
remora_status rmr_selftest_compare(const json_t *stored, const rmr_selftest *now, int *exact,
                                   remora_error *err);

#endif
