/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of the families that there are, with every marker in one place. Their sources are the
 * chat templates of the models' tokenizer_config.json, and DeepSeek's encoders for V3.2 and
 * later. */
#include "chat_format.h"

#include <string.h>

#include "prompts.h"

/* clang-format off */
#define BOS       "<｜begin▁of▁sentence｜>"
#define EOS       "<｜end▁of▁sentence｜>"
#define USER      "<｜User｜>"
#define ASSISTANT "<｜Assistant｜>"
#define SYSTEM    "<｜System｜>"
#define DSML      "｜DSML｜"
#define THINK     "<think>"
#define UNTHINK   "</think>"
#define IM_START  "<|im_start|>"
#define IM_END    "<|im_end|>"
#define IM_MIDDLE "<|im_middle|>"
#define HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define KIMI_SYSTEM "<|im_system|>"
#define KIMI_USER "<|im_user|>"
#define KIMI_ASSISTANT "<|im_assistant|>"

#define DEEPSEEK_TURNS \
    .bos = BOS, .user = {USER, NULL}, .assistant = {ASSISTANT, EOS}, .stops = {EOS}

/* V2.5 to R1-0528. The templates of V2.5, V3 and R1 lose parts of calls; what is meant is
 * V3-0324's. */
#define FENCED_CALLS \
    .calls = { \
        .args = RMR_ARGS_TEXT, \
        .block_open = "<｜tool▁calls▁begin｜>", .block_close = "<｜tool▁calls▁end｜>", \
        .call_open = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>", .name_close = "\n```json\n", \
        .call_close = "\n```<｜tool▁call▁end｜>", .between = "\n"}, \
    .results = { \
        .block_open = "<｜tool▁outputs▁begin｜>", .block_close = "<｜tool▁outputs▁end｜>", \
        .open = "<｜tool▁output▁begin｜>", .close = "<｜tool▁output▁end｜>", .between = "\n"}, \
    .tools = { \
        .place = RMR_TOOLS_SYSTEM, .as = RMR_TOOL_OBJECT, .borrowed = 1, \
        .open = PROMPT_R1_TOOLS, .each_open = "\n```json\n", .each_close = "\n```\n"}

/* V3.1, V3.2-Exp. */
#define PLAIN_CALLS(how) \
    .calls = { \
        .args = how, \
        .block_open = "<｜tool▁calls▁begin｜>", .block_close = "<｜tool▁calls▁end｜>", \
        .call_open = "<｜tool▁call▁begin｜>", .name_close = "<｜tool▁sep｜>", \
        .call_close = "<｜tool▁call▁end｜>"}, \
    .results = {.open = "<｜tool▁output▁begin｜>", .close = "<｜tool▁output▁end｜>"}, \
    .think = {.open = THINK, .close = UNTHINK, .on = THINK, .off = UNTHINK, .answered = UNTHINK, \
              .past = RMR_PAST_CUT_FIRST}
#define V31_TOOLS \
    .place = RMR_TOOLS_SYSTEM, .as = RMR_TOOL_HEADED, \
    .open = PROMPT_V31_TOOLS, .each_open = "\n### ", .head_description = "\nDescription: ", \
    .head_parameters = "\n\nParameters: ", .each_close = "\n", .close = PROMPT_V31_TOOLS_END

#define R1_THINK \
    .open = THINK, .close = UNTHINK, .past = RMR_PAST_CUT_LAST, .by_default = 1, .always = 1

/* V3.2, V4 and V4.1: the block's name, and what stands before names of elements. */
#define DSML_CALLS(block, gap) \
    .args = RMR_ARGS_PARAMS, \
    .block_open = "\n\n<" DSML gap block ">\n", .block_close = "\n</" DSML gap block ">", \
    .call_open = "<" DSML gap "invoke name=\"", .name_close = "\">\n", \
    .call_close = "</" DSML gap "invoke>", .between = "\n", \
    .param_open = "<" DSML gap "parameter name=\"", .param_kind = "\" string=\"", \
    .param_value = "\">", .param_close = "</" DSML gap "parameter>", .param_between = "\n", \
    .params_end = "\n"
#define DSML_THINK(history) \
    .open = THINK, .close = UNTHINK, .on = THINK, .off = UNTHINK, .answered = UNTHINK, \
    .past_open = THINK, .past_close = UNTHINK, .past = history
#define DSML_SCHEMA \
    .json_schema = PROMPT_DSML_SCHEMA, \
    .json_object = PROMPT_DSML_SCHEMA "{\"type\": \"json_object\"}"
#define V4_RESULTS \
    .results = {.open = "<tool_result>", .close = "</tool_result>", .in_user = 1, .strict = 1}, \
    .merge_users = 1
#define V4_TOOLS(text) \
    .tools = {.place = RMR_TOOLS_SYSTEM, .as = RMR_TOOL_FUNCTION, .open = text, .between = "\n", \
              .close = PROMPT_V4_TOOLS_END}

#define V4_MORE .reminder = "<｜latest_reminder｜>", .tasks = v4_tasks

/* A marker is followed by the turn's name or role, and that by IM_MIDDLE. */
#define KIMI_TURNS \
    .system = {KIMI_SYSTEM, IM_END}, .user = {KIMI_USER, IM_END}, \
    .assistant = {KIMI_ASSISTANT, IM_END}, .name_close = IM_MIDDLE, \
    .stops = {IM_END, "[EOS]"}, \
    .needs = {KIMI_SYSTEM, KIMI_USER, KIMI_ASSISTANT, IM_MIDDLE, IM_END}
#define KIMI_TOOLS \
    .calls = { \
        .args = RMR_ARGS_TEXT, .numbered = 1, \
        .block_open = "<|tool_calls_section_begin|>", \
        .block_close = "<|tool_calls_section_end|>", \
        .misspelt = "<|tool_call_section_begin|>", \
        .call_open = "<|tool_call_begin|>functions.", \
        .name_close = "<|tool_call_argument_begin|>", \
        .call_close = "<|tool_call_end|>"}, \
    .results = { \
        .by_id = 1, .open = KIMI_SYSTEM "tool" IM_MIDDLE "## Return of ", .close = IM_END}, \
    .tools = { \
        .place = RMR_TOOLS_TURN, .as = RMR_TOOL_OBJECT, \
        .open = KIMI_SYSTEM "tool_declare" IM_MIDDLE "[", .between = ", ", .close = "]" IM_END}

#define CHATML_TURNS \
    .system = {IM_START "system\n", IM_END "\n"}, .user = {IM_START "user\n", IM_END "\n"}, \
    .assistant = {IM_START "assistant\n", IM_END "\n"}, .needs = {IM_START, IM_END}
#define QWEN_TOOLS(how, instead) \
    .calls = { \
        .args = how, .after_text = "\n", \
        .call_open = "<tool_call>\n{\"name\": \"", .name_close = "\", \"arguments\": ", \
        .call_close = "}\n</tool_call>", .between = "\n"}, \
    .results = { \
        .block_open = IM_START "user", .block_close = IM_END "\n", \
        .open = "\n<tool_response>\n", .close = "\n</tool_response>"}, \
    .tools = { \
        .place = RMR_TOOLS_SYSTEM, .as = RMR_TOOL_OBJECT, \
        .open = "\n\n" PROMPT_QWEN_TOOLS, .alone = instead, .each_open = "\n", \
        .close = PROMPT_QWEN_TOOLS_END}

#define LLAMA_TURNS \
    .bos = "<|begin_of_text|>", \
    .system = {HEADER("system"), "<|eot_id|>"}, .user = {HEADER("user"), "<|eot_id|>"}, \
    .assistant = {HEADER("assistant"), "<|eot_id|>"}, .trim = 1, .trim_answer = 1, \
    .stops = {"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"}, \
    .needs = {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}

static const char *const v4_tasks[] = {
    "<｜action｜>", "<｜query｜>", "<｜authority｜>", "<｜domain｜>", "<｜title｜>", "<｜read_url｜>"};

static const rmr_chat_format formats[] = {
    {.name = "deepseek-v4.1", DEEPSEEK_TURNS, V4_MORE,
     .system = {SYSTEM, NULL}, .system_if_any = 1,
     .needs = {BOS, EOS, USER, ASSISTANT, SYSTEM, DSML, THINK, UNTHINK},
     .takes = RMR_TAKES_REQUESTS,
     .think = {DSML_THINK(RMR_PAST_DSML4), .literal_open = 1, .strip = 1, .by_default = 1},
     .calls = {DSML_CALLS("calls", " ")}, V4_RESULTS, V4_TOOLS(PROMPT_V41_TOOLS), DSML_SCHEMA,
     .efforts = {.style = RMR_EFFORT_NUMBER, .low = "50", .high = "75", .max = "100",
                 .open = PROMPT_V41_EFFORT, .close = PROMPT_V41_EFFORT_END}},
    {.name = "deepseek-v4-0731", DEEPSEEK_TURNS, V4_MORE,
     .system_rule = RMR_SYSTEM_JOINED,
     .needs = {BOS, EOS, USER, ASSISTANT, DSML, THINK, UNTHINK},
     .takes = RMR_TAKES_REQUESTS,
     .think = {DSML_THINK(RMR_PAST_DSML4), .literal_open = 1, .strip = 1, .by_default = 1},
     .calls = {DSML_CALLS("tool_calls", "")}, V4_RESULTS, V4_TOOLS(PROMPT_V4_TOOLS),
     .json_schema = PROMPT_DSML_SCHEMA, .json_object = PROMPT_V4_JSON,
     .efforts = {.style = RMR_EFFORT_TEXTS, .high = PROMPT_V4_EFFORT, .max = PROMPT_V4_EFFORT_MAX}},
    {.name = "deepseek-v4", DEEPSEEK_TURNS, V4_MORE,
     .needs = {BOS, EOS, USER, ASSISTANT, DSML, THINK, UNTHINK},
     .open = RMR_OPEN_WITH_USER, .ask = RMR_ASK_NEVER, .takes = RMR_TAKES_ANSWERED,
     .think = {DSML_THINK(RMR_PAST_DSML4), .literal_open = 1, .strip = 1},
     .calls = {DSML_CALLS("tool_calls", ""), .no_params = "\n"}, V4_RESULTS,
     V4_TOOLS(PROMPT_V4_TOOLS),
     .json_schema = PROMPT_DSML_SCHEMA, .json_object = PROMPT_V4_JSON,
     .efforts = {.style = RMR_EFFORT_TEXTS, .max = PROMPT_V4_EFFORT}},
    {.name = "deepseek-v3.2", DEEPSEEK_TURNS,
     .needs = {BOS, EOS, USER, ASSISTANT, DSML, THINK, UNTHINK},
     .open = RMR_OPEN_WITH_USER, .ask = RMR_ASK_NEVER, .takes = RMR_TAKES_ANSWERED,
     .think = {DSML_THINK(RMR_PAST_DSML32)},
     .calls = {DSML_CALLS("function_calls", ""), .no_params = "\n"},
     .results = {.block_open = "\n\n<function_results>", .open = "\n<result>", .close = "</result>",
                 .block_close = "\n</function_results>\n\n", .strict = 1, .tagged = 1},
     .tools = {.place = RMR_TOOLS_SYSTEM, .as = RMR_TOOL_FUNCTION, .open = PROMPT_V32_TOOLS,
               .between = "\n", .close = "\n</functions>\n"},
     DSML_SCHEMA},
    {.name = "deepseek-v3.2-exp", DEEPSEEK_TURNS,
     .system_rule = RMR_SYSTEM_JOINED, .needs = {BOS, EOS, USER, ASSISTANT, THINK, UNTHINK},
     .open = RMR_OPEN_IF_ASKED, .ask = RMR_ASK_UNLESS_RESULTS,
     PLAIN_CALLS(RMR_ARGS_TEXT), .tools = {V31_TOOLS, .borrowed = 1}},
    {.name = "deepseek-v3.1", DEEPSEEK_TURNS,
     .system_rule = RMR_SYSTEM_JOINED, .needs = {BOS, EOS, USER, ASSISTANT, THINK, UNTHINK},
     .open = RMR_OPEN_IF_ASKED, .ask = RMR_ASK_IF_ASKED,
     PLAIN_CALLS(RMR_ARGS_PRINTED), .tools = {V31_TOOLS, .if_empty = 1}},
    {.name = "deepseek-r1-0528", DEEPSEEK_TURNS,
     .system_rule = RMR_SYSTEM_JOINED, .needs = {BOS, EOS, USER, ASSISTANT, THINK, UNTHINK},
     .open = RMR_OPEN_WITH_USER, .ask = RMR_ASK_UNLESS_RESULTS,
     .think = {R1_THINK, .by_model = 1}, FENCED_CALLS},
    {.name = "deepseek-r1", DEEPSEEK_TURNS,
     .system_rule = RMR_SYSTEM_LAST, .needs = {BOS, EOS, USER, ASSISTANT, THINK, UNTHINK},
     .open = RMR_OPEN_UNLESS_RESULTS, .ask = RMR_ASK_UNLESS_RESULTS,
     .think = {R1_THINK, .on = THINK "\n"}, FENCED_CALLS},
    {.name = "deepseek-v3-0324", DEEPSEEK_TURNS,
     .system_rule = RMR_SYSTEM_JOINED, .needs = {BOS, EOS, USER, ASSISTANT},
     .open = RMR_OPEN_WITH_USER, .ask = RMR_ASK_UNLESS_RESULTS, FENCED_CALLS},
    {.name = "deepseek-v3", DEEPSEEK_TURNS,
     .system_rule = RMR_SYSTEM_JOINED, .needs = {BOS, EOS, USER, ASSISTANT},
     .open = RMR_OPEN_UNLESS_RESULTS, .ask = RMR_ASK_UNLESS_RESULTS, FENCED_CALLS},
    {.name = "deepseek-v2.5", DEEPSEEK_TURNS,
     .system_rule = RMR_SYSTEM_LAST, .needs = {BOS, EOS, USER, ASSISTANT},
     .open = RMR_OPEN_UNLESS_RESULTS, .ask = RMR_ASK_UNLESS_RESULTS, FENCED_CALLS},
    {.name = "deepseek-v2-0628", DEEPSEEK_TURNS,
     .system = {NULL, "\n\n"}, .needs = {BOS, EOS, USER, ASSISTANT}},
    {.name = "deepseek-v2", .bos = BOS, .stops = {EOS}, .needs = {BOS, EOS},
     .system = {NULL, "\n\n"}, .user = {"User: ", "\n\n"}, .assistant = {"Assistant: ", EOS},
     .generation = "Assistant:"},
    {.name = "kimi-k2-thinking", KIMI_TURNS, KIMI_TOOLS, .system_default = PROMPT_KIMI,
     .think = {.open = THINK, .close = UNTHINK, .answered = THINK UNTHINK, .past_open = THINK,
               .past_close = UNTHINK, .by_default = 1, .always = 1, .by_model = 1,
               .past = RMR_PAST_KIMI}},
    {.name = "kimi-k2", KIMI_TURNS, KIMI_TOOLS, .system_default = PROMPT_KIMI},
    {.name = "moonlight", KIMI_TURNS, .system_default = PROMPT_MOONLIGHT},
    {.name = "glm-4.7-flash", .bos = "[gMASK]<sop>",
     .needs = {"[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"},
     .stops = {"<|user|>", "<|observation|>", "<|endoftext|>"},
     .system = {"<|system|>", NULL}, .user = {"<|user|>", NULL},
     .assistant = {"<|assistant|>", NULL},
     .trim_answer = 1,
     .think = {.open = THINK, .close = UNTHINK, .on = THINK, .off = UNTHINK, .answered = UNTHINK,
               .past_open = THINK, .past_close = UNTHINK, .by_default = 1, .past = RMR_PAST_GLM},
     .calls = {.args = RMR_ARGS_TAGS, .call_open = "<tool_call>", .call_close = "</tool_call>",
               .param_open = "<arg_key>", .param_kind = "</arg_key><arg_value>",
               .param_close = "</arg_value>"},
     .results = {.block_open = "<|observation|>", .open = "<tool_response>",
                 .close = "</tool_response>"},
     .tools = {.place = RMR_TOOLS_TURN, .as = RMR_TOOL_OBJECT,
               .open = "<|system|>" PROMPT_GLM_TOOLS, .between = "\n",
               .close = PROMPT_GLM_TOOLS_END}},
    {.name = "qwen3", CHATML_TURNS, .stops = {IM_END, "<|endoftext|>"},
     .think = {.open = THINK, .close = UNTHINK, .off = THINK "\n\n" UNTHINK "\n\n",
               .past_open = THINK "\n", .past_close = "\n" UNTHINK "\n\n", .by_default = 1,
               .by_model = 1, .past = RMR_PAST_QWEN3},
     QWEN_TOOLS(RMR_ARGS_TEXT, PROMPT_QWEN_TOOLS)},
    {.name = "qwq", CHATML_TURNS, .stops = {IM_END, "<|endoftext|>"},
     .think = {.open = THINK, .close = UNTHINK, .on = THINK "\n", .by_default = 1, .always = 1,
               .past = RMR_PAST_QWQ},
     QWEN_TOOLS(RMR_ARGS_PRINTED, NULL)},
    {.name = "qwen2.5", CHATML_TURNS, .stops = {IM_END, "<|endoftext|>"},
     .system_default = PROMPT_QWEN, QWEN_TOOLS(RMR_ARGS_PRINTED, NULL)},
    {.name = "smollm2", CHATML_TURNS, .stops = {IM_END, "<|endoftext|>"},
     .system_default = PROMPT_SMOLLM2},
    {.name = "chatml", CHATML_TURNS, .stops = {IM_END, "<|endoftext|>"}},
    {.name = "llama-3.1", LLAMA_TURNS,
     .system_lead_tools = "Environment: ipython\n",
     .system_lead = "Cutting Knowledge Date: December 2023\nToday Date: ",
     .system_lead_date = "26 Jul 2024", .system_lead_end = "\n\n",
     .calls = {.args = RMR_ARGS_PRINTED, .one = 1, .no_text = 1, .bare = 1,
               .call_open = "{\"name\": \"", .name_close = "\", \"parameters\": ",
               .call_close = "}"},
     .results = {.open = HEADER("ipython"), .close = "<|eot_id|>", .quoted = 1},
     .tools = {.place = RMR_TOOLS_FIRST_USER, .as = RMR_TOOL_INDENTED, .if_empty = 1,
               .open = PROMPT_LLAMA_TOOLS, .each_close = "\n\n"}},
    {.name = "llama-3", LLAMA_TURNS,
     .results = {.open = HEADER("tool"), .close = "<|eot_id|>"}}, /* its template takes any role */
};
/* clang-format on */

const rmr_chat_format *rmr_chat_formats(size_t *n)
{
    *n = sizeof formats / sizeof formats[0];
    return formats;
}

const rmr_chat_format *rmr_chat_format_named(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strlen(formats[i].name) == n && memcmp(formats[i].name, name, n) == 0)
            return &formats[i];
    return NULL;
}
