/* SPDX-License-Identifier: Apache-2.0 */
/* Something that says which tokens may come next, and follows those that do. The sampler knows no
 * more of it than this. */
#ifndef RMR_LIMITER_H
#define RMR_LIMITER_H

#include <remora/remora.h>

typedef struct rmr_limiter_ops {
    /* Bit i % 32 of word i / 32: token i may come. E_NO_TOKEN when none may. */
    remora_status (*mask)(void *guide, uint32_t *mask, remora_error *err);
    remora_status (*accept)(void *guide, remora_token t, remora_error *err);
    remora_status (*rollback)(void *guide, size_t n, remora_error *err);
    /* The token that comes whatever is chosen; *n 0: there is none, else 1. */
    remora_status (*forced)(void *guide, remora_token *t, size_t *n, remora_error *err);
    remora_status (*clone)(const void *guide, void **out, remora_error *err);
    void (*restart)(void *guide);
    void (*free)(void *guide);
} rmr_limiter_ops;

typedef struct rmr_limiter {
    const rmr_limiter_ops *ops; /* NULL: none */
    void *guide;
} rmr_limiter;

#endif
