/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of the CUDA backend against the CPU's (check_ops.c). */
#ifndef CHECK_OPS_H
#define CHECK_OPS_H

#include "backend.h"
#include "half.h"

extern rmr_backend *check_cpu, *check_gpu;
extern int check_exact; /* the CUDA backend's mode */
extern int check_bad, check_done, check_loud;

double check_random(void); /* in [-1, 1) */
void check_report(const char *name, int bad, const char *text);

/* Every check has a name, by which a process of its own can run it: a fault on a GPU ends CUDA for
 * the process. Large ones take too long for the emulator. */
typedef void check_visit(void *arg, const char *name, void (*run)(int), int which, int large);
void check_visit_all(check_visit *visit, void *arg);

#endif
