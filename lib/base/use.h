/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a call uses a handle that one thread may use at a time: what turns misuse into E_BUSY.
 *
 * In a child of fork() a handle may be lost: a thread was inside that only the parent has. It is
 * half changed, so it stays busy, and all that can be done is to free it. */
#ifndef RMR_USE_H
#define RMR_USE_H

#include <stdatomic.h>
#include <stdint.h>

#include "error.h"

typedef struct rmr_use {
    _Atomic uint32_t process; /* of the call that uses the handle; 0: none does */
} rmr_use;

void rmr_use_init(rmr_use *u);

/* Exclusive use until rmr_use_end(); E_BUSY while another call has it. `what` is the handle's name
 * in messages: "session". */
remora_status rmr_use_begin(rmr_use *u, const char *what, remora_error *err);
void rmr_use_end(rmr_use *u);

/* For calls that only read: E_BUSY when the handle is lost. */
remora_status rmr_use_look(const rmr_use *u, const char *what, remora_error *err);
int rmr_use_is_lost(const rmr_use *u);

#endif
