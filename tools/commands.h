/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands: each reads its own options from argv and returns the exit code. */
#ifndef TOOL_COMMANDS_H
#define TOOL_COMMANDS_H

int tool_generate(int argc, char **argv);
int tool_chat(int argc, char **argv);
int tool_fim(int argc, char **argv);
int tool_tokenize_command(int argc, char **argv);
int tool_inspect(int argc, char **argv);
int tool_bench(int argc, char **argv);
int tool_eval(int argc, char **argv);
int tool_convert(int argc, char **argv);
int tool_verify(int argc, char **argv);
int tool_devices(int argc, char **argv);
int tool_selftest(int argc, char **argv);

#endif
