/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a weight out of a checkpoint, in canonical form (quant.h): scales that lie in another
 * tensor are put beside their codes, and what cannot be (NaN codes, infinite scales) is found.
 * Tensor bytes are read, never looked at through a mapping: a file that shrinks meanwhile is a
 * status. */
#ifndef RMR_READ_ROWS_H
#define RMR_READ_ROWS_H

#include "format.h"

/* Functions of rmr_format. E_FORMAT names the tensor and the byte that is wrong. Adopted weights
 * are read too, to be checked. */
remora_status rmr_read_rows(rmr_reader *r, const rmr_weight_plan_item *it, uint32_t index,
                            uint32_t row0, uint32_t n, const void **rows, remora_error *err);
rmr_span rmr_read_rows_span(const rmr_weight_plan_item *it);
remora_status rmr_read_rows_portion(rmr_reader *r, const rmr_weight_plan_item *it, uint64_t portion,
                                    rmr_portion *out, remora_error *err);

#endif
