/* Rows of a weight out of the checkpoint, in canonical form (quant.h): scales that lie in another
 * tensor are put beside their codes, and what cannot be (NaN codes, infinite scales) is found. */
#ifndef RMR_READ_ROWS_H
#define RMR_READ_ROWS_H

#include "format.h"

/* Bytes of staging that reading n rows of the item takes. */
uint64_t rmr_read_rows_staging(const rmr_weight_plan_item *it, uint32_t n);

/* *rows = rows [row0, row0 + n) of desc of matrix `index`, somewhere in the staging. All of them at
 * once when the item is transposed. E_FORMAT names the tensor and the byte that is wrong. */
remora_status rmr_read_rows(const rmr_weight_plan_item *it, uint32_t index, uint32_t row0,
                            uint32_t n, unsigned char *staging, const void **rows,
                            remora_error *err);

#endif
