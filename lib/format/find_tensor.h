/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a weight among the tensors of a checkpoint: what the formats have in common. Tensors that
 * are of a weight are marked as used. */
#ifndef RMR_FIND_TENSOR_H
#define RMR_FIND_TENSOR_H

#include "checkpoint_origin.h"

enum { RMR_NAMES_MAX = 192 }; /* bytes of the longest name that is looked for, with its NUL */

/* E_FORMAT: there is no tensor `full`, the checkpoint's name of the weight `name`. */
remora_status rmr_find_missing(const char *name, const char *full, remora_error *err);

/* E_FORMAT: the configuration means [rows, cols]. */
remora_status rmr_find_wrong_shape(const rmr_checkpoint_origin *c, const rmr_tensor *t,
                                   uint64_t rows, uint64_t cols, remora_error *err);

/* E_UNSUPPORTED: `want` is what is read instead of the tensor's dtype. */
remora_status rmr_find_wrong_type(const rmr_tensor *t, const char *want, remora_error *err);

/* The tensor has shape [rows, cols], or [cols] as a vector; then it is used. */
remora_status rmr_find_shape(rmr_checkpoint_origin *c, const rmr_tensor *t, uint64_t rows,
                             uint64_t cols, int vector, remora_error *err);

/* The item's matrices lie in t (and s, or NULL) in a coding of `elem`, and are computed with in
 * `keep`. */
void rmr_find_set(rmr_weight_plan_item *it, const rmr_tensor *t, const rmr_tensor *s,
                  rmr_coding coding, rmr_elem elem, rmr_elem keep);

/* The item's matrices are canonical rows as they lie in the tensor. Vectors are plain numbers. */
remora_status rmr_find_set_plain(const rmr_tensor *t, rmr_weight_plan_item *it, remora_error *err);

/* The tensor is the item's one matrix or vector. */
remora_status rmr_find_plain(rmr_checkpoint_origin *c, const rmr_tensor *t,
                             rmr_weight_plan_item *it, remora_error *err);

/* The tensor is [count, rows, cols] or [count * rows, cols]; then it is used. */
remora_status rmr_find_stack_shape(rmr_checkpoint_origin *c, const rmr_tensor *t, uint64_t count,
                                   uint64_t rows, uint64_t cols, remora_error *err);

#endif
