/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels as host code. */
#include "kernels.cu"
