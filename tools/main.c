/* SPDX-License-Identifier: Apache-2.0 */
/* remora: the command. It uses the public header alone, so it is also the first host program that
 * the library has to satisfy. */
#include "commands.h"
#include "host.h"
#include "output.h"

#include <remora/remora.h>
#include <stdio.h>
#include <string.h>

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"generate", tool_generate, "continue a text"},
    {"chat", tool_chat, "a conversation"},
    {"fim", tool_fim, "fill the hole between two texts"},
    {"tokenize", tool_tokenize_command, "text to token ids, and back"},
    {"inspect", tool_inspect, "what a model is and how much memory it takes"},
    {"bench", tool_bench, "speed of prefill and decode"},
    {"eval", tool_eval, "mean negative log-likelihood of a text"},
    {"convert", tool_convert, "a model folder or GGUF file to a .remora pack"},
    {"devices", tool_devices, "where models can run"},
    {"selftest", tool_selftest, "whether the library computes here what it should"},
    {"verify", tool_verify, "whether a pack is whole and computes what it should"},
};

static void print_commands(FILE *f)
{
    fputs("usage: remora COMMAND [options]\n\ncommands:\n", f);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\nremora COMMAND --help tells the options of a command; remora --version the version.\n"
          "Exit codes: 0 done, 1 failure, 2 wrong usage, 130 interrupted.\n",
          f);
}

static int run_command(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0) {
        tool_printf("%s\n", remora_build_info());
        return TOOL_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_commands(stdout);
        return TOOL_OK;
    }
    return tool_usage("there is no command \"%s\"", argv[1]);
}

int main(int argc, char **argv)
{
    int code;
    if (tool_start(&argc, &argv) < 0) return TOOL_FAILED;
    if (argc < 2) {
        print_commands(stderr);
        return TOOL_USAGE;
    }
    if (remora_abi_check(REMORA_VERSION_NUM) < 0) {
        fprintf(stderr, "remora: the library is %s, which this program is too new for\n",
                remora_version_string());
        return TOOL_FAILED;
    }
    tool_catch_signals();
    code = run_command(argc, argv);
    if (code == TOOL_FAILED && tool_cancelled()) code = TOOL_INTERRUPTED;
    if (tool_output_close() < 0 && code == TOOL_OK) code = TOOL_FAILED;
    return code;
}
