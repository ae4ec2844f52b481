/* SPDX-License-Identifier: Apache-2.0 */
/* A source format of tests, and an example of one: a folder with config.json, the tokenizer's
 * files, and for each tensor an array of numpy, <name>.npy. */
#ifndef FORMAT_NPY_H
#define FORMAT_NPY_H

#include "format.h"

/* BF16 is '<V2', as numpy writes a type that it does not have. */
extern const rmr_format format_npy;

#endif
