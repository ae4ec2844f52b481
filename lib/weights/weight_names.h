/* Names of weights: whose a checkpoint has, and what each weight is called there. In this library a
 * weight has the name that Hugging Face gives it in a text model, without ".weight"
 * ("model.layers.3.mlp.experts.up_proj": all of them; "self_attn.kv_b_proj.absorb" and ".value":
 * its parts). */
#ifndef RMR_WEIGHT_NAMES_H
#define RMR_WEIGHT_NAMES_H

#include "checkpoint.h"

enum { RMR_NAMES_MAX = 192 }; /* bytes of the longest name that is looked for, with its NUL */

/* How a checkpoint spells the names. */
typedef struct rmr_names {
    rmr_naming naming;
    const char *body; /* in place of "model." */
    const char *rest; /* in front of the others ("lm_head") */
    const char *text; /* in front of all that is the text model's; "": all of them are */
} rmr_names;

/* Found out from the tensors there are. */
rmr_names rmr_names_of(const rmr_checkpoint *ck);

/* The checkpoint's name of a weight: with ".<tail>" behind it, where names have one and tail is not
 * "". A GGUF name is whole; a weight that has none there keeps its own. */
void rmr_names_full(const rmr_names *n, const char *name, const char *tail, char *out, size_t cap);

/* What stands in a checkpoint's name behind "model.", or NULL where that is not in it. */
const char *rmr_names_body(const rmr_names *n, const char *full);

/* Whether the tensor belongs to a part of the model that is not for text: in a model with images
 * the text model has a prefix of its own. */
int rmr_names_other_part(const rmr_names *n, const char *full);

/* The layer that a GGUF tensor belongs to, or -1. */
long rmr_names_layer(const char *gguf);

#endif
