/* SPDX-License-Identifier: Apache-2.0 */
/* llama.cpp's names of tensors. */
#ifndef RMR_GGUF_NAMES_H
#define RMR_GGUF_NAMES_H

#include <stddef.h>

/* A GGUF file's name of a weight (hf.h); a weight that has none there keeps its own. */
void rmr_gguf_names_full(const char *name, char *out, size_t cap);

/* The layer that a tensor belongs to, or -1. */
long rmr_gguf_names_layer(const char *gguf);

#endif
