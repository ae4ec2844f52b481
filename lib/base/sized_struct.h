/* SPDX-License-Identifier: Apache-2.0 */
/* Sized structs: every struct that crosses the ABI starts with its size as the caller knew it.
 *
 * In: the known part is copied, the rest zeroed; a caller newer than this library may only leave
 * its further fields zero. Out: the fields that fit the caller's size are written, and fields that
 * only the caller knows are zeroed. */
#ifndef RMR_SIZED_STRUCT_H
#define RMR_SIZED_STRUCT_H

#include "error.h"

/* The largest size that a caller may state: one above it was never set, and what follows the struct
 * in the caller's memory would be read or written. */
enum { RMR_STRUCT_LIMIT = 4096 };

/* Copy *given (NULL: all defaults) into *known of `size` bytes; `first` is the struct's size in
 * release 1.0. On a failure *known is what could be read: zeros where struct_size is wrong. */
remora_status rmr_struct_in(void *known, uint32_t size, uint32_t first, const void *given,
                            const char *what, remora_error *err);

/* Copy *known to *out, whose struct_size says how much the caller has room for (E_STRUCT below
 * `first` and above the limit). */
remora_status rmr_struct_out(void *out, const void *known, uint32_t size, uint32_t first,
                             const char *what, remora_error *err);

#endif
