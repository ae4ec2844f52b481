/* SPDX-License-Identifier: Apache-2.0 */
/* The system's open() with a gate before /dev/urandom, which jansson reads for its seed. */
#ifndef SEED_GATE_H
#define SEED_GATE_H

#include "gate.h"

extern gate seed_gate;
extern int seed_reads; /* opens of that file */

#endif
