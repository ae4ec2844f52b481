/* SPDX-License-Identifier: Apache-2.0 */
/* Words of memory that one instruction loads or stores. */
#ifndef RMR_CUDA_WORD_CUH
#define RMR_CUDA_WORD_CUH

#include <stdint.h>

typedef struct word4 {
    uint32_t w[4];
} word4;

typedef struct word2 {
    uint32_t w[2];
} word2;

#endif
