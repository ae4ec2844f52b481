/* SPDX-License-Identifier: Apache-2.0 */
/* Windows alone: paths as its calls take them. */
#ifndef RMR_WIDE_H
#define RMR_WIDE_H

#include <stdint.h>
#include <wchar.h>

enum { RMR_WIDE_PATH = 4096 }; /* characters of a path, at most, its NUL too */

/* A path as the system takes it. One that is too long for old calls becomes whole, with "\\?\"
 * before it. 0: it is no UTF-8 or too long. */
int rmr_wide_path(const char *path, wchar_t out[RMR_WIDE_PATH]);

/* A path that came from the system; 0: it does not fit. */
int rmr_wide_to_path(const wchar_t *wide, char *out, uint32_t cap);

#endif
