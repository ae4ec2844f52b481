/* SPDX-License-Identifier: Apache-2.0 */
/* Floats as text that reads back to the same float, the same whatever the locale. */
#ifndef RMR_DECIMAL_H
#define RMR_DECIMAL_H

#include <stddef.h>

enum { RMR_DECIMAL_MAX = 16 }; /* bytes with the terminator */

/* "-1.23456789e-05", "0", "-0", "inf", "-inf", "nan"; returns the length. */
size_t rmr_decimal(float f, char out[RMR_DECIMAL_MAX]);

#endif
