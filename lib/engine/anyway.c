/* SPDX-License-Identifier: Apache-2.0 */
#include "anyway.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FIELD = 64, MAX_FIELDS = 32 };

static int is_name(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Does the message have the field's name as a word? */
static int says(const char *message, const char *field)
{
    const size_t n = strlen(field);
    for (const char *p = message; n > 0 && (p = strstr(p, field)) != NULL; p++)
        if ((p == message || !is_name(p[-1])) && !is_name(p[n])) return 1;
    return 0;
}

/* The field of a configuration that a message is about, the longest that it names; 0: none. */
static int find_field(json_t *config, const char *message, char field[MAX_FIELD])
{
    const char *key;
    json_t *v;
    size_t best = 0;
    json_object_foreach(config, key, v)
    {
        const size_t n = strlen(key);
        if (n <= best || n >= MAX_FIELD || !says(message, key)) continue;
        memcpy(field, key, n + 1);
        best = n;
    }
    return best > 0;
}

/* Reading a configuration ends at the first field that is refused. So the field that the message
 * names is taken away, and what is left is read again, until nothing is refused or what is refused
 * is not a field of its own. */
static remora_status other_fields(rmr_opening *o, const char *file)
{
    char field[MAX_FIELD];
    rmr_shape shape;
    remora_status st = REMORA_OK;
    json_t *rest = json_copy(o->config);
    if (rest == NULL) return rmr_error_nomem(o->err, "configuration", 0);
    for (int i = 0; i < MAX_FIELDS && find_field(rest, o->err->message, field); i++) {
        json_object_del(rest, field);
        st = rmr_shape_read(file, rest, &shape, o->err);
        if (st >= 0 || says(o->err->message, field)) break; /* the model cannot do without it */
        st = rmr_refusals_keep(o->keep, st, o->err);
        if (st < 0) break;
    }
    json_decref(rest);
    return st == REMORA_E_NOMEM ? st : REMORA_OK;
}

/* A number that is there and fits, else 0. */
static uint32_t number(const json_t *config, const char *field, uint32_t max)
{
    const json_t *v = json_object_get(config, field);
    const json_int_t n = json_is_integer(v) ? json_integer_value(v) : 0;
    return n > 0 && n <= (json_int_t)max ? (uint32_t)n : 0;
}

/* The shape, as far as a configuration gives it under names that all families use. */
static void known_shape(const json_t *config, rmr_shape *s)
{
    static const char *const experts[] = {"n_routed_experts", "num_experts", "num_local_experts"};
    const char *type = json_string_value(json_object_get(config, "model_type"));
    const uint32_t heads = number(config, "num_attention_heads", 4096);
    memset(s, 0, sizeof *s);
    if (type != NULL) {
        const rmr_shown shown = rmr_show(type);
        snprintf(s->family, sizeof s->family, "%.*s", (int)sizeof s->family - 1, shown.text);
    }
    s->moe_freq = 1;
    s->n_layers = number(config, "num_hidden_layers", RMR_MAX_LAYERS);
    if (s->n_layers == 0) s->n_layers = number(config, "num_layers", RMR_MAX_LAYERS);
    s->n_vocab = number(config, "vocab_size", 1u << 24);
    s->n_hidden = number(config, "hidden_size", RMR_MAX_WIDTH);
    s->max_context = number(config, "max_position_embeddings", RMR_MAX_CONTEXT);
    s->mla.rank = number(config, "kv_lora_rank", 1u << 16);
    if (s->mla.rank > 0) {
        s->attention = RMR_ATTENTION_MLA;
        s->mla.heads = heads;
        s->mla.rope = number(config, "qk_rope_head_dim", RMR_MAX_ROPE);
    } else {
        s->attention = RMR_ATTENTION_GQA;
        s->gqa.heads = heads;
        s->gqa.kv_heads = number(config, "num_key_value_heads", 4096);
        s->gqa.head_dim = number(config, "head_dim", RMR_MAX_ROPE);
    }
    for (size_t i = 0; i < sizeof experts / sizeof experts[0] && s->moe.n_experts == 0; i++)
        s->moe.n_experts = number(config, experts[i], 1u << 16);
    s->moe.n_used = number(config, "num_experts_per_tok", 1u << 16);
    s->n_shared = number(config, "n_shared_experts", 1024);
    s->n_dense = number(config, "first_k_dense_replace", RMR_MAX_LAYERS);
}

remora_status rmr_anyway_config(rmr_opening *o, remora_status st)
{
    rmr_origin *from = o->m->origin;
    RMR_TRY(rmr_refusals_keep(o->keep, st, o->err));
    if (o->config != NULL)
        RMR_TRY(other_fields(o, from->file));
    else if (from->format->known_config != NULL)
        RMR_TRY(from->format->known_config(from, &o->config, o->err));
    known_shape(o->config, &o->m->shape);
    return REMORA_OK;
}

remora_status rmr_anyway_missing(rmr_opening *o)
{
    const rmr_refusals *r = o->keep;
    char key[32], value[320];
    for (size_t i = 0; i < r->n; i++) {
        const rmr_refusal *it = &r->items[i];
        int n = snprintf(value, sizeof value, "%s: %s", rmr_status_name(it->status), it->text);
        if (it->alike > 0)
            snprintf(value + n, sizeof value - (size_t)n, " (and %llu more like it)",
                     (unsigned long long)it->alike);
        snprintf(key, sizeof key, "missing.%zu", i);
        RMR_TRY(rmr_metadata_add(&o->m->mem, &o->m->meta, key, value, o->err));
    }
    if (r->dropped == 0) return REMORA_OK;
    snprintf(key, sizeof key, "missing.%zu", r->n);
    snprintf(value, sizeof value, "%s: and %llu more reasons",
             rmr_status_name(r->items[r->n - 1].status), (unsigned long long)r->dropped);
    return rmr_metadata_add(&o->m->mem, &o->m->meta, key, value, o->err);
}
