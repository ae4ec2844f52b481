#include "weight_names.h"

#include <stdio.h>
#include <string.h>

#include "weight_table.h"

#define MODEL "model."

typedef struct pair {
    const char *hf, *gguf;
} pair;

static const pair outside[] = {
    {"model.embed_tokens", "token_embd.weight"},
    {"model.norm", "output_norm.weight"},
    {"lm_head", "output.weight"},
};

/* A tensor that is no weight by itself: its halves are. */
static const pair kv_b = {"self_attn.kv_b_proj", "attn_kv_b.weight"};

static const char *in_layer(const char *name)
{
    for (int id = 0; id < RMR_W_COUNT; id++)
        if (strcmp(rmr_weight_infos[id].name, name) == 0) return rmr_weight_infos[id].gguf;
    return strcmp(kv_b.hf, name) == 0 ? kv_b.gguf : NULL;
}

static const char *outside_layers(const char *name)
{
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        if (strcmp(outside[i].hf, name) == 0) return outside[i].gguf;
    return NULL;
}

static void gguf_name(const char *name, char *out, size_t cap)
{
    unsigned layer;
    int at = 0;
    if (sscanf(name, "model.layers.%5u.%n", &layer, &at) == 1 && at > 0) {
        const char *part = in_layer(name + at);
        if (part != NULL)
            snprintf(out, cap, "blk.%u.%s", layer, part);
        else
            snprintf(out, cap, "%s", name);
        return;
    }
    const char *whole = outside_layers(name);
    snprintf(out, cap, "%s", whole != NULL ? whole : name);
}

/* How folders spell the names: with the head, as a base model without it, and inside of a model
 * that also sees (Kimi-K2.5 and Llava; the same as transformers 5 saves it; DeepSeek-VL2). */
static const rmr_names spellings[] = {
    {RMR_NAMING_HF, "model.", "", ""},
    {RMR_NAMING_HF, "", "", ""},
    {RMR_NAMING_HF, "language_model.model.", "language_model.", "language_model."},
    {RMR_NAMING_HF, "model.language_model.", "", "model.language_model."},
    {RMR_NAMING_HF, "language.model.", "language.", "language."},
};

rmr_names rmr_names_of(const rmr_checkpoint *ck)
{
    if (rmr_checkpoint_naming(ck) == RMR_NAMING_GGUF)
        return (rmr_names){RMR_NAMING_GGUF, "", "", ""};
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        char name[RMR_NAMES_MAX];
        snprintf(name, sizeof name, "%sembed_tokens.weight", spellings[i].body);
        if (rmr_checkpoint_find(ck, name) != NULL) return spellings[i];
    }
    return spellings[0];
}

void rmr_names_full(const rmr_names *n, const char *name, const char *tail, char *out, size_t cap)
{
    const int in_body = strncmp(name, MODEL, sizeof MODEL - 1) == 0;
    if (n->naming == RMR_NAMING_GGUF)
        gguf_name(name, out, cap);
    else
        snprintf(out, cap, "%s%s%s%s", in_body ? n->body : n->rest,
                 in_body ? name + sizeof MODEL - 1 : name, tail[0] != 0 ? "." : "", tail);
}

const char *rmr_names_body(const rmr_names *n, const char *full)
{
    const size_t len = strlen(n->body);
    return strncmp(full, n->body, len) == 0 ? full + len : NULL;
}

int rmr_names_other_part(const rmr_names *n, const char *full)
{
    static const char head[] = "lm_head.";
    return strncmp(full, n->text, strlen(n->text)) != 0 &&
           strncmp(full, head, sizeof head - 1) != 0;
}

long rmr_names_layer(const char *gguf)
{
    unsigned layer;
    int at = 0;
    return sscanf(gguf, "blk.%5u.%n", &layer, &at) == 1 && at > 0 ? (long)layer : -1;
}
