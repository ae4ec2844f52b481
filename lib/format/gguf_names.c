/* SPDX-License-Identifier: Apache-2.0 */
#include "gguf_names.h"

#include <stdio.h>
#include <string.h>

#include "weight_table.h"

typedef struct pair {
    const char *hf, *gguf;
} pair;

static const pair outside[] = {
    {"model.embed_tokens", "token_embd.weight"},
    {"model.norm", "output_norm.weight"},
    {"lm_head", "output.weight"},
};

static const char *in_layer(const char *name)
{
    for (int id = 0; id < RMR_W_COUNT; id++)
        if (strcmp(rmr_weight_infos[id].name, name) == 0) return rmr_weight_infos[id].gguf;
    return strcmp(RMR_KV_B, name) == 0 ? RMR_KV_B_GGUF : NULL;
}

static const char *outside_layers(const char *name)
{
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        if (strcmp(outside[i].hf, name) == 0) return outside[i].gguf;
    return NULL;
}

void rmr_gguf_names_full(const char *name, char *out, size_t cap)
{
    unsigned layer;
    int at = 0;
    const int in = sscanf(name, "model.layers.%5u.%n", &layer, &at) == 1 && at > 0;
    const char *part = in ? in_layer(name + at) : outside_layers(name);
    if (part == NULL)
        snprintf(out, cap, "%s", name);
    else if (in)
        snprintf(out, cap, "blk.%u.%s", layer, part);
    else
        snprintf(out, cap, "%s", part);
}

long rmr_gguf_names_layer(const char *gguf)
{
    unsigned layer;
    int at = 0;
    return sscanf(gguf, "blk.%5u.%n", &layer, &at) == 1 && at > 0 ? (long)layer : -1;
}
