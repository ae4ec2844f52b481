/* SPDX-License-Identifier: Apache-2.0 */
#include "relatives.h"

#include <stddef.h>
#include <string.h>

/* The name in config.json, the name in GGUF files where it has one of its own, and the reason. */
static const struct relative {
    const char *model_type, *arch, *needs;
} relatives[] = {
    {"deepseek", "deepseek", "DeepSeekMoE: experts with grouped attention"},
    {"deepseek_v32", "deepseek32", "DeepSeek-V3.2: sparse attention"},
    {"deepseek_v4", "deepseek4", "DeepSeek-V4: compressed attention"},
    {"deepseek_v41", "deepseek41", "DeepSeek-V4.1: compressed attention"},
    {"deepseek_vl_v2", "deepseek2-ocr", "DeepSeek-VL2: images"},
    {"glm_moe_dsa", "glm-dsa", "GLM-5: sparse attention"},
    {"glm5_next", "glm5-next", "GLM-5.3-Flash: linear attention"},
    {"glm4", "glm4", "GLM-4: norms behind the blocks"},
    {"glm4_moe", "glm4moe", "GLM-4.5: experts with grouped attention"},
    {"gigachat35", "gigachat35", "GigaChat3.5: linear attention"},
    {"longcat_flash", "longcat-flash", "LongCat-Flash: two attentions in a block"},
    {"kimi_linear", "kimi-linear", "Kimi-Linear: linear attention"},
    {"kimi_k3", "kimi-k3", "Kimi-K3: linear attention"},
    {"bailing_hybrid", "bailingmoe3", "Ling-3: linear attention"},
    {"minicpm3", "minicpm3", "MiniCPM3: scaled embeddings and residuals"},
    {"mistral", NULL, "Mistral: sliding windows"},
    {"mistral3", "mistral3", "Mistral-3: a temperature of the queries"},
    {"mistral4", "mistral4", "Mistral-4: a temperature of the queries"},
    {"mixtral", NULL, "Mixtral: experts with grouped attention"},
    {"qwen2_moe", "qwen2moe", "Qwen2-MoE: experts with grouped attention"},
    {"qwen3_moe", "qwen3moe", "Qwen3-MoE: experts with grouped attention"},
    {"qwen3_next", "qwen3next", "Qwen3-Next: linear attention"},
    {"qwen2_vl", "qwen2vl", "Qwen2-VL: images"},
    {"qwen2_5_vl", NULL, "Qwen2.5-VL: images"},
    {"qwen3_vl", "qwen3vl", "Qwen3-VL: images"},
    {"llama4", "llama4", "Llama-4: experts with grouped attention"},
    {"gpt_oss", "gpt-oss", "gpt-oss: attention sinks"},
    {"gemma2", "gemma2", "Gemma: soft capping"},
    {"gemma3", "gemma3", "Gemma: sliding windows"},
    {"gemma3_text", NULL, "Gemma: sliding windows"},
    {"phi3", "phi3", "Phi-3: one matrix for q, k and v"},
};

const char *rmr_relative(const char *name)
{
    for (size_t i = 0; i < sizeof relatives / sizeof relatives[0]; i++) {
        const struct relative *r = &relatives[i];
        if (strcmp(name, r->model_type) == 0 || (r->arch != NULL && strcmp(name, r->arch) == 0))
            return r->needs;
    }
    return NULL;
}
