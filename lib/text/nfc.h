/* SPDX-License-Identifier: Apache-2.0 */
/* Unicode normalization form C. */
#ifndef RMR_NFC_H
#define RMR_NFC_H

#include "mem.h"

/* NFC of s[0..n), which must be UTF-8. *out is NULL when s is already normal, else a block of
 * *out_n bytes to release with rmr_free(mem, *out, *out_n). */
remora_status rmr_nfc(rmr_mem *mem, const char *s, size_t n, char **out, size_t *out_n,
                      remora_error *err);

#endif
