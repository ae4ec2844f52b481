/* SPDX-License-Identifier: Apache-2.0 */
/* What the tensors of a checkpoint are, from their names, types and shapes alone: which part of the
 * model each belongs to, and what it takes. Names are those of Hugging Face folders
 * ("model.layers.3.self_attn.o_proj.weight") or of GGUF files ("blk.3.attn_output.weight"). */
#ifndef TOOL_TENSORS_H
#define TOOL_TENSORS_H

#include <stdint.h>

typedef enum tool_class {
    TOOL_CLASS_EMBEDDING,
    TOOL_CLASS_ATTENTION,
    TOOL_CLASS_DENSE,
    TOOL_CLASS_EXPERTS,
    TOOL_CLASS_SHARED,
    TOOL_CLASS_ROUTER,
    TOOL_CLASS_NORMS,
    TOOL_CLASS_HEAD,
    TOOL_CLASS_OTHER,
    TOOL_CLASSES
} tool_class;

const char *tool_class_name(tool_class c);
tool_class tool_tensor_class(const char *name);

typedef struct tool_sizes {
    uint64_t tensors, weights, bytes;
} tool_sizes;

/* Adds a tensor of the type ("Q4_K") and shape ("[512, 256]"). Scales and shapes that quantised
 * checkpoints keep in tensors beside the weights are bytes without weights, and packed integers
 * hold more than one weight each. -1: the type or the shape is not known, and only `tensors` has
 * been counted. */
int tool_sizes_add(tool_sizes *s, const char *name, const char *type, const char *shape);

/* Sizes by class and type. */
enum { TOOL_MOST_TYPES = 32 };
typedef struct tool_census {
    char types[TOOL_MOST_TYPES][16]; /* in the order they came */
    uint32_t n_types;
    uint64_t unknown; /* tensors whose size is not known; those of too many types are in no cell */
    tool_sizes cells[TOOL_CLASSES][TOOL_MOST_TYPES];
} tool_census;

void tool_census_add(tool_census *t, const char *name, const char *type, const char *shape);

#endif
