/* SPDX-License-Identifier: Apache-2.0 */
/* Names of tensors in folders, and what the tensors are that are no weights. */
#include <stdio.h>
#include <string.h>

#include "hf.h"

#define MODEL "model."

/* With the head, as a base model without it, and inside of a model that also sees (Kimi-K2.5 and
 * Llava; the same as transformers 5 saves it; DeepSeek-VL2). */
static const rmr_hf_names spellings[] = {
    {"model.", "", ""},
    {"", "", ""},
    {"language_model.model.", "language_model.", "language_model."},
    {"model.language_model.", "", "model.language_model."},
    {"language.model.", "language.", "language."},
};

rmr_hf_names rmr_hf_names_of(const rmr_checkpoint *ck)
{
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        char name[RMR_NAMES_MAX];
        snprintf(name, sizeof name, "%sembed_tokens.weight", spellings[i].body);
        if (rmr_checkpoint_find(ck, name) != NULL) return spellings[i];
    }
    return spellings[0];
}

void rmr_hf_names_full(const rmr_hf_names *n, const char *name, const char *tail, char *out,
                       size_t cap)
{
    const int in_body = strncmp(name, MODEL, sizeof MODEL - 1) == 0;
    snprintf(out, cap, "%s%s%s%s", in_body ? n->body : n->rest,
             in_body ? name + sizeof MODEL - 1 : name, tail[0] != 0 ? "." : "", tail);
}

/* The part of a tensor's name behind "model.", or NULL where "model." is not in it. */
static const char *body_of(const rmr_hf_names *n, const char *full)
{
    const size_t len = strlen(n->body);
    return strncmp(full, n->body, len) == 0 ? full + len : NULL;
}

/* In a model with images the text model has a prefix of its own. */
static int is_other_part(const rmr_hf_names *n, const char *full)
{
    static const char head[] = "lm_head.";
    return strncmp(full, n->text, strlen(n->text)) != 0 &&
           strncmp(full, head, sizeof head - 1) != 0;
}

/* A layer behind the last one predicts further tokens when it has the tensors that only such layers
 * have; config.json need not count it. Without them it is a layer that the configuration leaves
 * out. */
static int is_prediction_layer(rmr_origin *o, unsigned layer)
{
    static const char *const only[] = {"eh_proj", "enorm", "hnorm", "shared_head.norm"};
    for (size_t i = 0; i < sizeof only / sizeof only[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, MODEL "layers.%u.%s", layer, only[i]);
        if (rmr_hf_has(o, name)) return 1;
    }
    return 0;
}

/* Of the multi-token prediction layers: layers behind the last one, or tensors under a name of
 * their own. */
static int is_prediction(rmr_origin *o, const rmr_shape *s, const char *name)
{
    const char *body = body_of(&((rmr_hf_origin *)o)->names, name);
    unsigned layer = 0;
    char rest = 0;
    if (strncmp(name, "mtp.", 4) == 0 || (body != NULL && strncmp(body, "mtp.", 4) == 0)) return 1;
    if (body == NULL || sscanf(body, "layers.%5u%c", &layer, &rest) != 2 || rest != '.') return 0;
    return layer >= s->n_layers && is_prediction_layer(o, layer);
}

int rmr_hf_tensor(rmr_origin *o, const rmr_shape *s, uint64_t i, rmr_listed_tensor *out)
{
    if (!rmr_checkpoint_origin_tensor(o, s, i, out)) return 0;
    if (out->role != RMR_TENSOR_EXTRA) return 1;
    if (is_other_part(&((rmr_hf_origin *)o)->names, out->name))
        out->role = RMR_TENSOR_OTHER_PART;
    else if (is_prediction(o, s, out->name))
        out->role = RMR_TENSOR_PREDICTION;
    return 1;
}
