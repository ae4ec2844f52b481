/* GGUF's names of weights (facts section 9.4). */
#ifndef RMR_NAMES_H
#define RMR_NAMES_H

#include <stddef.h>

/* The name in a GGUF file of the weight that is `name` in a Hugging Face checkpoint, without
 * ".weight" ("model.layers.3.mlp.experts.up_proj": all of them; "self_attn.kv_b_proj.absorb" and
 * ".value": its parts), or name itself when there is none. */
void rmr_names_gguf(const char *name, char *out, size_t cap);

/* The layer that a GGUF tensor belongs to, or -1. */
long rmr_names_layer(const char *gguf);

#endif
