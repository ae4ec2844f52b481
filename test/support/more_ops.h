/* SPDX-License-Identifier: Apache-2.0 */
/* One more operation, for a library of a test (RMR_MORE_OPS): a copy of NORM. */

/* clang-format off */
RMR_OP(NORM_COPY, "norm-copy", norm_copy, IN, OUT, 1, 0, 0, ALL, norm_width)
/* clang-format on */
