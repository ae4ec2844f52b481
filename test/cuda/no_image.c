/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of a module whose driver is the emulated one: it has its own. */
#include "image.h"

const unsigned char rmr_cuda_image[1] = {0};
const int rmr_cuda_toolkit = 13000;
