/* SPDX-License-Identifier: Apache-2.0 */
/* See tensors.h. */
#include "tensors.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const char *tool_class_name(tool_class c)
{
    static const char *const names[TOOL_CLASSES] = {"embedding", "attention",      "dense ffn",
                                                    "experts",   "shared experts", "router",
                                                    "norms",     "head",           "other"};
    return names[c];
}

/* The first part that a name contains decides; '^' ties it to the beginning, and a dot at the end
 * stands for the end of the name as well (packs name weights without ".weight"). The order matters:
 * a norm of the attention is a norm, and "shared_experts" contains "experts". */
static const struct part {
    const char *text;
    tool_class class;
} parts[] = {{"norm.", TOOL_CLASS_NORMS},
             {"token_embd", TOOL_CLASS_EMBEDDING},
             {"embed_tokens", TOOL_CLASS_EMBEDDING},
             {"^lm_head", TOOL_CLASS_HEAD},
             {"^output.", TOOL_CLASS_HEAD},
             {"shared_head.head", TOOL_CLASS_HEAD},
             {"shared_head_head", TOOL_CLASS_HEAD},
             {".shared_expert", TOOL_CLASS_SHARED},
             {"_shexp.", TOOL_CLASS_SHARED},
             {".experts.", TOOL_CLASS_EXPERTS},
             {"_exps.", TOOL_CLASS_EXPERTS},
             {".mlp.gate.", TOOL_CLASS_ROUTER},
             {".ffn_gate_inp", TOOL_CLASS_ROUTER},
             {".exp_probs_b", TOOL_CLASS_ROUTER},
             {".self_attn.", TOOL_CLASS_ATTENTION},
             {".attn_", TOOL_CLASS_ATTENTION},
             {".indexer.", TOOL_CLASS_ATTENTION},
             {".mlp.", TOOL_CLASS_DENSE},
             {".ffn_", TOOL_CLASS_DENSE}};

static int ends_with(const char *name, const char *end, size_t m)
{
    const size_t n = strlen(name);
    return n >= m && memcmp(name + n - m, end, m) == 0;
}

static int has_part(const char *name, const char *text)
{
    const size_t n = strlen(text);
    if (text[0] == '^') return strncmp(name, text + 1, n - 1) == 0;
    if (strstr(name, text) != NULL) return 1;
    return text[n - 1] == '.' && ends_with(name, text, n - 1);
}

tool_class tool_tensor_class(const char *name)
{
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (has_part(name, parts[i].text)) return parts[i].class;
    return TOOL_CLASS_OTHER;
}

/* Types as safetensors and GGUF files name them, those that the library does not read among them:
 * values and bytes of a block. */
static const struct type {
    const char *name;
    uint32_t values, bytes;
} types[] = {
    {"F32", 1, 4},          {"F16", 1, 2},        {"BF16", 1, 2},         {"F8_E4M3", 1, 1},
    {"F8_E5M2", 1, 1},      {"F8_E8M0", 1, 1},    {"F64", 1, 8},          {"C64", 1, 8},
    {"BOOL", 1, 1},         {"I8", 1, 1},         {"U8", 1, 1},           {"I16", 1, 2},
    {"U16", 1, 2},          {"I32", 1, 4},        {"U32", 1, 4},          {"I64", 1, 8},
    {"U64", 1, 8},          {"Q8_0", 32, 34},     {"Q4_0", 32, 18},       {"I4", 32, 18},
    {"IQ4_NL", 32, 18},     {"MXFP4", 32, 17},    {"IQ4_XS", 256, 136},   {"Q4_K", 256, 144},
    {"Q5_K", 256, 176},     {"Q6_K", 256, 210},   {"Q3_K", 256, 110},     {"Q2_K", 256, 84},
    {"Q4_1", 32, 20},       {"Q5_0", 32, 22},     {"Q5_1", 32, 24},       {"F4", 2, 1},
    {"F6_E2M3", 4, 3},      {"F6_E3M2", 4, 3},    {"F8_E4M3FNUZ", 1, 1},  {"F8_E5M2FNUZ", 1, 1},
    {"Q8_1", 32, 36},       {"Q8_K", 256, 292},   {"IQ2_XXS", 256, 66},   {"IQ2_XS", 256, 74},
    {"IQ3_XXS", 256, 98},   {"IQ1_S", 256, 50},   {"IQ3_S", 256, 110},    {"IQ2_S", 256, 82},
    {"IQ1_M", 256, 56},     {"Q4_0_4_4", 32, 18}, {"Q4_0_4_8", 32, 18},   {"Q4_0_8_8", 32, 18},
    {"TQ1_0", 256, 54},     {"TQ2_0", 256, 66},   {"IQ4_NL_4_4", 32, 18}, {"IQ4_NL_4_8", 32, 18},
    {"IQ4_NL_8_8", 32, 18}, {"NVFP4", 64, 36},    {"Q1_0", 128, 18}};

static const struct type *find_type(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0) return &types[i];
    return NULL;
}

/* Weights for each value of the tensor: none in scales, zero points and shapes, eight in the int32
 * of compressed-tensors, two in the bytes of 4-bit floats. */
static uint64_t weights_each(const char *name, const char *type)
{
    static const char *const beside[] = {"_scale",  "_scale_inv",        ".scale", "_scale_2",
                                         "_scales", "weight_zero_point", "_shape"};
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++)
        if (ends_with(name, beside[i], strlen(beside[i]))) return 0;
    if (ends_with(name, ".weight_packed", strlen(".weight_packed")) && strcmp(type, "I32") == 0)
        return 8;
    return strcmp(type, "U8") == 0 ? 2 : 1;
}

/* Rows of F8 in a pack end with a float for each started run of 128 columns; in checkpoints, where
 * names end in ".weight", the scales are a tensor of their own. */
static uint64_t scale_bytes(const char *name, const char *type, uint64_t values, uint64_t cols)
{
    if (strcmp(type, "F8_E4M3") != 0 || ends_with(name, ".weight", strlen(".weight")) || cols == 0)
        return 0;
    return values / cols * ((cols + 127) / 128) * 4;
}

/* "[512, 256]": the product and the last one; 0 when it is no shape or does not fit. */
static int read_shape(const char *shape, uint64_t *values, uint64_t *cols)
{
    uint64_t product = 1;
    *cols = 1;
    if (*shape++ != '[') return 0;
    while (*shape != ']') {
        char *end;
        errno = 0;
        const uint64_t dim = strtoull(shape, &end, 10);
        if (end == shape || errno != 0 || (dim > 0 && product > UINT64_MAX / 64 / dim)) return 0;
        product *= dim;
        *cols = dim;
        shape = end;
        while (*shape == ',' || *shape == ' ') shape++;
    }
    *values = product;
    return 1;
}

int tool_sizes_add(tool_sizes *s, const char *name, const char *type, const char *shape)
{
    const struct type *t = find_type(type);
    uint64_t values, cols;
    s->tensors++;
    if (!t || !read_shape(shape, &values, &cols)) return -1;
    s->weights += values * weights_each(name, type);
    s->bytes += values / t->values * t->bytes + scale_bytes(name, type, values, cols);
    return 0;
}

void tool_census_add(tool_census *t, const char *name, const char *type, const char *shape)
{
    uint32_t i = 0;
    while (i < t->n_types && strcmp(t->types[i], type) != 0) i++;
    if (i == TOOL_MOST_TYPES || strlen(type) >= sizeof t->types[0]) {
        t->unknown++;
        return;
    }
    if (i == t->n_types) memcpy(t->types[t->n_types++], type, strlen(type) + 1);
    if (tool_sizes_add(&t->cells[tool_tensor_class(name)][i], name, type, shape) < 0) t->unknown++;
}
