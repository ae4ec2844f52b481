/* SPDX-License-Identifier: Apache-2.0 */
/* The ranges that every backend checks in calls on a step (backend.h). */
#ifndef RMR_STEP_CALLS_H
#define RMR_STEP_CALLS_H

#include "backend.h"

/* The most rows that a slot has. */
uint32_t rmr_slot_rows(const rmr_step_desc *d, uint32_t slot);

/* Does the area lie in its slot? */
int rmr_has_area(const rmr_step_desc *d, const rmr_area *a);

/* E_INTERNAL: the inputs have more rows, runs or pages than the step was prepared for. */
remora_status rmr_check_inputs(const rmr_step_desc *d, const rmr_inputs *in, remora_error *err);

/* E_INTERNAL: the slice has operations that the step has not. */
remora_status rmr_check_slice(const rmr_step_desc *d, const rmr_slice *s, remora_error *err);

/* E_INTERNAL: more wanted rows than the step was prepared for, or one that is not below n_rows. */
remora_status rmr_check_want(const rmr_step_desc *d, uint32_t n_rows, const uint32_t *rows,
                             uint32_t n, remora_error *err);

#endif
