/* SPDX-License-Identifier: Apache-2.0 */
/* Sweeps of the fault tests: a body is run with its k-th chance to fail failing, for k = 1, 2, ...
 * until a run comes through without having been hit. */
#ifndef SWEEP_H
#define SWEEP_H

#include "host.h"
#include "tiny.h"

enum { SWEEP_ONE = 0, SWEEP_FROM = 1 }; /* the k-th fails, or it and all that follow */

/* Arm the allocator; disarm answers whether a failure was dealt out. */
void sweep_arm(tmem *t, long k, int how);
int sweep_disarm(tmem *t);

/* What a session with `ids` in it gives: the oracle that a handle still works. */
void sweep_expect(remora_session *s, const float *rows, uint32_t n, const char *what, long k);

#endif
