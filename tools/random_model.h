/* SPDX-License-Identifier: Apache-2.0 */
/* A small model of random weights in memory, for remora selftest: every operation of a family on
 * shapes that a seed decides. The same seed gives the same bytes on every machine. */
#ifndef TOOL_RANDOM_MODEL_H
#define TOOL_RANDOM_MODEL_H

#include <remora/remora.h>

/* Query bottleneck and groups of experts; neither of them; grouped attention without experts. And
 * the first with as many heads, and latents as long, as small released models. */
enum { TOOL_LATENT_V3, TOOL_LATENT_V2, TOOL_GROUPED, TOOL_FAMILIES, TOOL_LATENT_LARGE };

typedef struct tool_random_model {
    remora_blob blobs[2]; /* config.json, model.safetensors */
    remora_source source; /* over them */
    uint32_t n_vocab;
} tool_random_model;

/* wide: rows are whole blocks of every element type; otherwise odd widths. 0, or -1 when memory ran
 * out. */
int tool_random_model_make(tool_random_model *m, int family, int wide, uint64_t seed);
void tool_random_model_free(tool_random_model *m);

uint32_t tool_random(uint64_t *state, uint32_t below);

#endif
