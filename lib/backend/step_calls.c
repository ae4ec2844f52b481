/* SPDX-License-Identifier: Apache-2.0 */
#include "step_calls.h"

uint32_t rmr_slot_rows(const rmr_step_desc *d, uint32_t slot)
{
    const rmr_row_set rows = d->slots[slot].rows;
    return rows == RMR_ROWS_ONE ? 1 : rows == RMR_ROWS_OUT ? d->max_out : d->max_rows;
}

int rmr_has_area(const rmr_step_desc *d, const rmr_area *a)
{
    if (a->slot >= d->n_slots) return 0;
    const uint32_t rows = rmr_slot_rows(d, a->slot), width = d->slots[a->slot].width;
    return a->row0 <= rows && a->n_rows <= rows - a->row0 && a->col <= width &&
           a->n_cols <= width - a->col;
}

remora_status rmr_check_inputs(const rmr_step_desc *d, const rmr_inputs *in, remora_error *err)
{
    if (in->n_rows > d->max_rows || in->n_runs > d->max_rows || in->n_pages > d->max_pages)
        RMR_FAIL(err, REMORA_E_INTERNAL, "step inputs exceed the prepared maxima");
    return REMORA_OK;
}

remora_status rmr_check_slice(const rmr_step_desc *d, const rmr_slice *s, remora_error *err)
{
    if (s->first > d->n_ops || s->n > d->n_ops - s->first)
        RMR_FAIL(err, REMORA_E_INTERNAL, "a slice is out of the range of its step");
    return REMORA_OK;
}

remora_status rmr_check_want(const rmr_step_desc *d, uint32_t n_rows, const uint32_t *rows,
                             uint32_t n, remora_error *err)
{
    if (n > d->max_out)
        RMR_FAIL(err, REMORA_E_INTERNAL, "%u wanted rows are more than the prepared %u", n,
                 d->max_out);
    for (uint32_t i = 0; i < n; i++)
        if (rows[i] >= n_rows)
            RMR_FAIL(err, REMORA_E_INTERNAL, "wanted row %u is not one of the step's %u", rows[i],
                     n_rows);
    return REMORA_OK;
}
