/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that models were trained to read, and are therefore exact to the byte. They are data of the
 * models named: each says where it was published. */
#ifndef RMR_CHAT_PROMPTS_H
#define RMR_CHAT_PROMPTS_H

/* clang-format off */
/* DeepSeek-V3.1: model card, "ToolCall" */
#define PROMPT_V31_TOOLS \
    "\n\n" \
    "## Tools\n" \
    "You have access to the following tools:\n"

/* The same section behind the last tool. */
#define PROMPT_V31_TOOLS_END \
    "\n" \
    "IMPORTANT: ALWAYS adhere to this exact format for tool use:\n" \
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜" \
    ">tool_call_arguments<｜tool▁call▁end｜>{{additional_tool_calls}}<｜tool▁calls" \
    "▁end｜>\n\n" \
    "Where:\n\n" \
    "- `tool_call_name` must be an exact match to one of the available tools\n" \
    "- `tool_call_arguments` must be valid JSON that strictly follows the tool's " \
    "Parameters Schema\n" \
    "- For multiple tool calls, chain them directly without separators or spaces\n"

/* DeepSeek-V3.2: encoding_dsv32.py, as mlx-lm 0.32.2 carries it. */
#define PROMPT_V32_TOOLS \
    "\n\n" \
    "## Tools\n\n" \
    "You have access to a set of tools you can use to answer the user's question.\n" \
    "You can invoke functions by writing a \"<｜DSML｜function_calls>\" block like the " \
    "following as part of your reply to the user:\n" \
    "<｜DSML｜function_calls>\n" \
    "<｜DSML｜invoke name=\"$FUNCTION_NAME\">\n" \
    "<｜DSML｜parameter name=\"$PARAMETER_NAME\" " \
    "string=\"true|false\">$PARAMETER_VALUE</｜DSML｜parameter>\n" \
    "...\n" \
    "</｜DSML｜invoke>\n" \
    "<｜DSML｜invoke name=\"$FUNCTION_NAME2\">\n" \
    "...\n" \
    "</｜DSML｜invoke>\n" \
    "</｜DSML｜function_calls>\n\n" \
    "String and scalar parameters should be specified as is without any escaping or " \
    "quotes, while lists and objects should use JSON format. The \"string\" attribute " \
    "should be set to \"true\" for string type parameters and \"false\" for other types " \
    "(numbers, booleans, arrays, objects).\n\n" \
    "If the thinking_mode is enabled, then after function results you should strongly " \
    "consider outputting a thinking block. Here is an example:\n\n" \
    "<｜DSML｜function_calls>\n" \
    "...\n" \
    "</｜DSML｜function_calls>\n\n" \
    "<function_results>\n" \
    "...\n" \
    "</function_results>\n\n" \
    "<think>...thinking about results</think>\n\n" \
    "Here are the functions available in JSONSchema format:\n" \
    "<functions>\n"

/* DeepSeek-V4: encoding_dsv4.py and the PyPI package deepseek-recipe 0.2.0. */
#define PROMPT_V4_TOOLS \
    "\n\n" \
    "## Tools\n\n" \
    "You have access to a set of tools to help answer the user's question. You can invoke " \
    "tools by writing a \"<｜DSML｜tool_calls>\" block like the following:\n\n" \
    "<｜DSML｜tool_calls>\n" \
    "<｜DSML｜invoke name=\"$TOOL_NAME\">\n" \
    "<｜DSML｜parameter name=\"$PARAMETER_NAME\" " \
    "string=\"true|false\">$PARAMETER_VALUE</｜DSML｜parameter>\n" \
    "...\n" \
    "</｜DSML｜invoke>\n" \
    "<｜DSML｜invoke name=\"$TOOL_NAME2\">\n" \
    "...\n" \
    "</｜DSML｜invoke>\n" \
    "</｜DSML｜tool_calls>\n\n" \
    "String parameters should be specified as is and set `string=\"true\"`. For all other " \
    "types (numbers, booleans, arrays, objects), pass the value in JSON format and set " \
    "`string=\"false\"`.\n\n" \
    "If thinking_mode is enabled (triggered by <think>), you MUST output your complete " \
    "reasoning inside <think>...</think> BEFORE any tool calls or final response.\n\n" \
    "Otherwise, output directly after </think> with tool calls or final response.\n\n" \
    "### Available Tool Schemas\n\n"

/* The same section behind the last tool, in V4.1 too. */
#define PROMPT_V4_TOOLS_END \
    "\n\n" \
    "You MUST strictly follow the above defined tool name and parameter schemas to invoke " \
    "tool calls.\n"

/* DeepSeek-V4.1: deepseek-recipe 0.2.0. */
#define PROMPT_V41_TOOLS \
    "\n\n" \
    "## Tools\n\n" \
    "You have access to a set of tools to help answer the user's question. You can invoke " \
    "tools by writing a \"<｜DSML｜ calls>\" block like the following:\n\n" \
    "<｜DSML｜ calls>\n" \
    "<｜DSML｜ invoke name=\"$TOOL_NAME\">\n" \
    "<｜DSML｜ parameter name=\"$PARAMETER_NAME\" " \
    "string=\"true|false\">$PARAMETER_VALUE</｜DSML｜ parameter>\n" \
    "...\n" \
    "</｜DSML｜ invoke>\n" \
    "<｜DSML｜ invoke name=\"$TOOL_NAME2\">\n" \
    "...\n" \
    "</｜DSML｜ invoke>\n" \
    "</｜DSML｜ calls>\n\n" \
    "String parameters should be specified as is and set `string=\"true\"`. For all other " \
    "types (numbers, booleans, arrays, objects), pass the value in JSON format and set " \
    "`string=\"false\"`.\n\n" \
    "If thinking_mode is enabled (triggered by <think>), you MUST output your complete " \
    "reasoning inside <think>...</think> BEFORE any tool calls or final response.\n\n" \
    "Otherwise, output directly after </think> with tool calls or final response.\n\n" \
    "### Available Tool Schemas\n\n"

/* The paragraph of DeepSeek-V4 for effort "max", of V4-0731 for "high": deepseek-recipe 0.2.0. */
#define PROMPT_V4_EFFORT \
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n" \
    "You MUST be very thorough in your thinking and comprehensively decompose the problem " \
    "to resolve the root cause, rigorously stress-testing your logic against all potential " \
    "paths, edge cases, and adversarial scenarios.\n" \
    "Explicitly write out your entire deliberation process, documenting every intermediate " \
    "step, considered alternative, and rejected hypothesis to ensure absolutely no " \
    "assumption is left unchecked.\n\n"

/* DeepSeek-V4-0731, effort "max": deepseek-recipe 0.2.0. */
#define PROMPT_V4_EFFORT_MAX \
    "Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.\n" \
    "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to " \
    "chance: exhaustively decompose the problem into its most fundamental components, " \
    "trace every causal chain to its root, and resolve the underlying cause rather than " \
    "any surface symptom.\n" \
    "Do not stop reasoning until you have independently verified the solution from " \
    "multiple angles and are certain that no assumption remains unchecked and no error " \
    "remains undiscovered.\n\n"

/* GLM-4.7-Flash: chat_template.jinja. */
#define PROMPT_GLM_TOOLS \
    "\n" \
    "# Tools\n\n" \
    "You may call one or more functions to assist with the user query.\n\n" \
    "You are provided with function signatures within <tools></tools> XML tags:\n" \
    "<tools>\n"

/* The same section behind the last tool. */
#define PROMPT_GLM_TOOLS_END \
    "\n" \
    "</tools>\n\n" \
    "For each function call, output the function name and arguments within the following " \
    "XML format:\n" \
    "<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key><arg_value>{arg-value-1}</arg_" \
    "value><arg_key>{arg-key-2}</arg_key><arg_value>{arg-value-2}</arg_value>...</tool_call" \
    ">"

/* Qwen2.5, QwQ and Qwen3: chat_template of tokenizer_config.json. */
#define PROMPT_QWEN_TOOLS \
    "# Tools\n\n" \
    "You may call one or more functions to assist with the user query.\n\n" \
    "You are provided with function signatures within <tools></tools> XML tags:\n" \
    "<tools>"

/* The same section behind the last tool. */
#define PROMPT_QWEN_TOOLS_END \
    "\n" \
    "</tools>\n\n" \
    "For each function call, return a json object with function name and arguments within " \
    "<tool_call></tool_call> XML tags:\n" \
    "<tool_call>\n" \
    "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n" \
    "</tool_call>"

/* Llama-3.1: chat_template of tokenizer_config.json. */
#define PROMPT_LLAMA_TOOLS \
    "Given the following functions, please respond with a JSON for a function call with " \
    "its proper arguments that best answers the given prompt.\n\n" \
    "Respond in the format {\"name\": function name, \"parameters\": dictionary of " \
    "argument name and its value}.Do not use variables.\n\n"

/* DeepSeek-R1-0528 as servers prompt it: tool_chat_template_deepseekr1.jinja of sglang and
 * vLLM. The families before it have no text of their own. */
#define PROMPT_R1_TOOLS \
    "\n\n" \
    "You are a helpful assistant with tool calling capabilities. When a tool call is " \
    "needed, you MUST use the following format to issue the call:\n" \
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>FUNCT" \
    "ION_NAME\n" \
    "```json\n" \
    "{\"param1\": \"value1\", \"param2\": \"value2\"}\n" \
    "```<｜tool▁call▁end｜><｜tool▁calls▁end｜>\n\n" \
    "Make sure the JSON is valid.## Tools\n\n" \
    "### Function\n\n" \
    "You have the following functions available:\n\n"

/* DeepSeek-V3.2 and later, before a JSON Schema: encoding_dsv32.py, deepseek-recipe 0.2.0. */
#define PROMPT_DSML_SCHEMA \
    "\n\n" \
    "## Response Format:\n\n" \
    "You MUST strictly adhere to the following schema to reply:\n"

/* DeepSeek-V4, for any JSON object: deepseek-recipe 0.2.0. */
#define PROMPT_V4_JSON \
    "\n\n" \
    "You are a helpful assistant designed to output JSON.\n" \
    "## Response Format:\n\n" \
    "Reply with JSON object ONLY."

/* DeepSeek-V4.1, around the number of the effort: deepseek-recipe 0.2.0. */
#define PROMPT_V41_EFFORT \
    "Reasoning Effort: "

/* Behind it. */
#define PROMPT_V41_EFFORT_END \
    " (range 1-100, the higher the value, the more thorough the reasoning)\n\n"

/* Kimi-K2: chat_template.jinja. */
#define PROMPT_KIMI \
    "You are Kimi, an AI assistant created by Moonshot AI."

/* Moonlight, and the first Kimi-K2. */
#define PROMPT_MOONLIGHT \
    "You are a helpful assistant"

/* Qwen2.5: chat_template of tokenizer_config.json. */
#define PROMPT_QWEN \
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."

/* SmolLM2-Instruct: tokenizer.chat_template of its GGUF file. */
#define PROMPT_SMOLLM2 \
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

#endif
