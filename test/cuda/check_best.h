/* SPDX-License-Identifier: Apache-2.0 */
/* The best of a row on the CUDA backend (check_best.c). */
#ifndef CHECK_BEST_H
#define CHECK_BEST_H

enum { CHECK_BEST_SMALL = 3, CHECK_BEST_ALL = 5 }; /* widths; larger ones take long */

void check_best(int which);

#endif
