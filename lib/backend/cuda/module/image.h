/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of all GPUs, as build_kernels.py makes them. */
#ifndef RMR_CUDA_IMAGE_H
#define RMR_CUDA_IMAGE_H

extern const unsigned char rmr_cuda_image[]; /* what cuModuleLoadData takes */
extern const int rmr_cuda_toolkit;           /* 13000: of CUDA 13.0 */

#endif
