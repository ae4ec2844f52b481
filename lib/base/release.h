/* SPDX-License-Identifier: Apache-2.0 */
/* The callback by which a host learns that what it lent is its own again. Who holds one calls it
 * once, when nothing can use the loan any more; who could not take it leaves that to its caller. */
#ifndef RMR_RELEASE_H
#define RMR_RELEASE_H

#include <remora/remora.h>
#include <stddef.h>

typedef struct rmr_release {
    void(REMORA_CALL *fn)(void *user); /* NULL: the host does not ask */
    void *user;
} rmr_release;

static inline void rmr_release_call(rmr_release r)
{
    if (r.fn != NULL) r.fn(r.user);
}

#endif
