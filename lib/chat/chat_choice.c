/* SPDX-License-Identifier: Apache-2.0 */
#include "chat_choice.h"

#include <string.h>

#include "source.h"

/* What the templates of a chat format have and lack, of the strings that tell it from the others of
 * its tokens. A row without such strings is of a family that publishes no template (its GGUF files
 * may have one that others wrote). The first row that fits is it. */
static const struct {
    const char *name, *family;
    const char *has[4], *lacks[4];
} rows[] = {
    {"deepseek-v4.1", "deepseek_v4", {NULL}, {NULL}},
    {"deepseek-v4", "deepseek_v4", {NULL}, {NULL}},
    {"deepseek-v3.2", "deepseek_v32", {NULL}, {NULL}},
    {"deepseek-v4", NULL, {"｜DSML｜tool_calls"}, {NULL}},
    {"deepseek-v3.2", NULL, {"｜DSML｜", "function_calls"}, {NULL}},
    {"deepseek-v3.2-exp", "deepseek_v32", {"thinking", "</think>", "is_last_user"}, {NULL}},
    {"deepseek-v3.1", NULL, {"<｜User｜>", "thinking", "</think>", "is_last_user"}, {NULL}},
    {"deepseek-r1-0528", NULL, {"<｜User｜>", "</think>", "is_last_user"}, {"<think>"}},
    {"deepseek-r1", NULL, {"<｜User｜>", "</think>"}, {"is_last_user"}},
    {"deepseek-v3-0324", NULL, {"<｜User｜>", "is_last_user"}, {"</think>"}},
    {"deepseek-v3", NULL, {"<｜User｜>", "<｜tool▁calls▁begin｜>", "is_first_sp"}, {"</think>"}},
    {"deepseek-v2.5", NULL, {"<｜User｜>", "<｜tool▁calls▁begin｜>"}, {"</think>", "is_first_sp"}},
    {"deepseek-v2-0628", NULL, {"<｜User｜>", "<｜Assistant｜>"}, {"</think>", "tool"}},
    {"deepseek-v2", NULL, {"User: ", "Assistant:", "eos_token"}, {"<｜User｜>", "<|", "[INST]"}},
    {"kimi-k2-thinking", NULL, {"<|im_middle|>", "tool_declare", "<think>"}, {NULL}},
    {"kimi-k2", NULL, {"<|im_middle|>", "tool_declare"}, {"<think>"}},
    {"moonlight", NULL, {"<|im_middle|>"}, {"tool_declare", "<think>"}},
    {"glm-4.7-flash", NULL, {"[gMASK]<sop>", "<arg_key>", "clear_thinking"}, {NULL}},
    {"qwen3",
     NULL,
     {"<|im_start|>", "<tool_call>", "enable_thinking", "reasoning_content"},
     {NULL}},
    {"qwq", NULL, {"<|im_start|>", "<tool_call>", "<think>"}, {"enable_thinking"}},
    {"qwen2.5",
     NULL,
     {"<|im_start|>", "<tool_call>",
      "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
     {"<think>", "enable_thinking"}},
    {"smollm2",
     NULL,
     {"<|im_start|>",
      "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>"},
     {"tool", "think"}},
    {"chatml", NULL, {"<|im_start|>", "<|im_end|>"}, {"tool", "think", "<|im_middle|>"}},
    {"llama-3.1", NULL, {"<|start_header_id|>", "Cutting Knowledge Date: December 2023"}, {NULL}},
    {"llama-3", NULL, {"<|start_header_id|>", "<|eot_id|>"}, {"Cutting Knowledge", "tool"}},
};

static const char *missing(const rmr_chat_format *f, const rmr_tokenizer *t)
{
    for (size_t i = 0; i < RMR_CHAT_MAX_TOKENS && f->needs[i] != NULL; i++)
        if (rmr_tokenizer_find(t, f->needs[i], strlen(f->needs[i])) == REMORA_TOKEN_NONE)
            return f->needs[i];
    return NULL;
}

/* A template of ChatML writes a system text of its own where its marker, a line end (as it is, or
 * as a template spells it) and a letter follow each other. */
static int has_system_text(const char *text)
{
    static const char marker[] = "<|im_start|>system";
    for (const char *p = text; (p = strstr(p, marker)) != NULL;) {
        p += sizeof marker - 1;
        const char *words = p[0] == '\n' ? p + 1 : p[0] == '\\' && p[1] == 'n' ? p + 2 : p;
        if (words != p && ((*words >= 'A' && *words <= 'Z') || (*words >= 'a' && *words <= 'z')))
            return 1;
    }
    return 0;
}

static int fits(size_t row, const char *family, const char *text)
{
    const int wants_text = rows[row].has[0] != NULL;
    if (rows[row].family != NULL && strcmp(rows[row].family, family) != 0) return 0;
    if (wants_text != (text != NULL)) return 0;
    for (size_t i = 0; i < 4 && rows[row].has[i] != NULL; i++)
        if (strstr(text, rows[row].has[i]) == NULL) return 0;
    for (size_t i = 0; i < 4 && rows[row].lacks[i] != NULL; i++)
        if (strstr(text, rows[row].lacks[i]) != NULL) return 0;
    /* Plain ChatML has no system text, so a template with one that is not known has no row. */
    return strcmp(rows[row].name, "chatml") != 0 || !has_system_text(text);
}

remora_status rmr_chat_suits(const rmr_chat_format *f, const rmr_tokenizer *t, remora_error *err)
{
    const char *token = missing(f, t);
    if (token != NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "chat format %s needs the token %s, which the tokenizer does not have", f->name,
                 token);
    return REMORA_OK;
}

remora_status rmr_chat_suits_turns(const rmr_chat_format *f, const rmr_conversation *c,
                                   const rmr_tokenizer *t, remora_error *err)
{
    for (size_t i = 0; i < c->n_turns; i++) {
        const rmr_chat_turn *turn = &c->turns[i];
        const int task = turn->task != RMR_TASK_NONE && f->tasks != NULL;
        const char *token = task ? f->tasks[turn->task - RMR_TASK_ACTION] : NULL;
        if (turn->role == RMR_ROLE_REMINDER) token = f->reminder;
        if (token != NULL && rmr_tokenizer_find(t, token, strlen(token)) == REMORA_TOKEN_NONE)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                     "turn %zu needs the token %s, which the tokenizer does not have", i, token);
    }
    return REMORA_OK;
}

/* The first marker of turns that the tokenizer has, for people. */
static const char *seen(const rmr_tokenizer *t)
{
    static const char *const known[] = {
        "<｜User｜>",          "<|im_middle|>",   "<|im_start|>", "<|user|>",
        "<|start_header_id|>", "<start_of_turn>", "[INST]",       "<|turn|>"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (rmr_tokenizer_find(t, known[i], strlen(known[i])) != REMORA_TOKEN_NONE) return known[i];
    return "not known";
}

remora_status rmr_chat_choose(const rmr_tokenizer *t, const char *family, const char *text,
                              const rmr_chat_format **out, remora_error *err)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const rmr_chat_format *f = rmr_chat_format_named(rows[i].name, strlen(rows[i].name));
        RMR_ASSERT(f != NULL);
        if (!fits(i, family, text) || missing(f, t) != NULL) continue;
        *out = f;
        return REMORA_OK;
    }
    if (text == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "model_type \"%s\" has no chat template, and no chat format fits without one "
                 "(its marker of turns is %s); name one",
                 rmr_show(family).text, seen(t));
    RMR_FAIL(
        err, REMORA_E_UNSUPPORTED,
        "model_type \"%s\" has a chat template of %zu bytes, which is none of those known (its "
        "marker of turns is %s); name a chat format",
        rmr_show(family).text, strlen(text), seen(t));
}
