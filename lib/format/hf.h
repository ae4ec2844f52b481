/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face's folders, from the inside: how tensors are named, and finding weights among them.
 *
 * In this library a weight has the name that Hugging Face gives it in a text model, without
 * ".weight" ("model.layers.3.mlp.experts.up_proj": all of them). Folders spell the names in several
 * ways. */
#ifndef RMR_HF_H
#define RMR_HF_H

#include "find_tensor.h"

typedef struct rmr_hf_names {
    const char *body; /* in place of "model." */
    const char *rest; /* in front of the others ("lm_head") */
    const char *text; /* in front of all that is the text model's; "": all of them are */
} rmr_hf_names;

typedef struct rmr_hf_origin {
    rmr_checkpoint_origin tensors;
    rmr_hf_names names;
} rmr_hf_origin;

/* Found out from the tensors there are. */
rmr_hf_names rmr_hf_names_of(const rmr_checkpoint *ck);

/* The folder's name of a weight, with ".<tail>" behind it where tail is not "". */
void rmr_hf_names_full(const rmr_hf_names *n, const char *name, const char *tail, char *out,
                       size_t cap);

/* Functions of rmr_format. */
remora_status rmr_hf_metadata(rmr_origin *o, rmr_metadata *meta, remora_error *err);
int rmr_hf_has(rmr_origin *o, const char *name);
remora_status rmr_hf_find(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err);
remora_status rmr_hf_find_stack(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err);
int rmr_hf_tensor(rmr_origin *o, const rmr_shape *s, uint64_t i, rmr_listed_tensor *out);

#endif
