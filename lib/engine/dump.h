/* SPDX-License-Identifier: Apache-2.0 */
/* x-dump: the rows of slots as text, after each operation of a step or some of them, to find the
 * operation at which a computation goes wrong (CONTRIBUTING.md, "A wrong logit").
 *
 * A slice is then run one operation at a time, which changes no result. Only functions that every
 * backend has are used, so dumps of two backends can be compared. */
#ifndef RMR_DUMP_H
#define RMR_DUMP_H

#include "contexts.h"

typedef struct rmr_dump rmr_dump;

/* The options of a dump. */
typedef struct rmr_dump_spec {
    char path[4096];
    int wanted; /* 0: no dump */
    int64_t step, layer, position, op, slot;
} rmr_dump_spec;

/* Read the extra options of a model: E_UNSUPPORTED for a key that is not known, E_ARG for a value
 * that makes no sense. */
remora_status rmr_dump_spec_read(const remora_model_opts *o, rmr_dump_spec *out, remora_error *err);

/* Make the file. Rows of these slots are read. */
remora_status rmr_dump_create(rmr_mem *mem, const rmr_dump_spec *spec,
                              const rmr_slot slots[RMR_SLOT_COUNT], rmr_dump **out,
                              remora_error *err);
void rmr_dump_free(rmr_dump *d);

/* The number of a new step, for its context. */
uint64_t rmr_dump_step(rmr_dump *d);

/* Run a slice as rmr_context_run() does, to its end, and write. From several threads, with
 * different contexts. */
remora_status rmr_dump_run(rmr_dump *d, remora_model *m, rmr_context *c,
                           const rmr_program_slice *slice, remora_error *err);

#endif
