/* SPDX-License-Identifier: Apache-2.0 */
/* Text that the host gives as pointer and length, and the `extra` options, which are two of them.
 */
#ifndef RMR_OPTION_H
#define RMR_OPTION_H

#include "error.h"

/* E_ARG when there are options and no array. */
remora_status rmr_options_check(const remora_option *extra, uint64_t n, remora_error *err);

/* E_ARG when a text of option i is NULL and not empty. Comes before the functions below. */
remora_status rmr_option_check(const remora_option *extra, uint64_t i, remora_error *err);

int rmr_option_is(const remora_option *o, const char *key);

/* Copy the value to a C string of `cap` bytes; E_ARG when it does not fit or has a NUL in it. */
remora_status rmr_option_value(const remora_option *o, char *out, size_t cap, remora_error *err);

/* E_UNSUPPORTED; `known` is the half of the sentence that says which options there are. */
remora_status rmr_option_unknown(const remora_option *o, const char *known, remora_error *err);

#endif
