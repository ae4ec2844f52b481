/* SPDX-License-Identifier: Apache-2.0 */
/* The host's cancel word: written by any thread or signal handler, only ever read here. */
#ifndef RMR_CANCEL_H
#define RMR_CANCEL_H

#include <stddef.h>
#include <stdint.h>

static inline int rmr_cancelled(const int32_t *word)
{
    return word != NULL && __atomic_load_n(word, __ATOMIC_RELAXED) != 0;
}

#endif
