/* SPDX-License-Identifier: Apache-2.0 */
/* remora convert: a model folder or GGUF file to a .remora pack. */
#include "commands.h"
#include "host.h"
#include "input.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct convert {
    tool_host host;
    const char *out, *recipe, *importance, *base;
    uint32_t zstd;
    int no_self_test, list;
    double start;
} convert;

static int parse(convert *x, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(x->host),
        {'o', "output", TOOL_TEXT, &x->out, "FILE", "the pack to write: NAME.remora", 0, 0},
        {'r', "recipe", TOOL_TEXT, &x->recipe, "NAME|FILE",
         "which weights get which type: a built-in recipe or a\nYAML file (default keep)", 0, 0},
        {0, "list-recipes", TOOL_FLAG, &x->list, NULL, "show the built-in recipes", 0, 0},
        {0, "imatrix", TOOL_TEXT, &x->importance, "FILE",
         "importance of columns, from remora eval --imatrix", 0, 0},
        {0, "base", TOOL_TEXT, &x->base, "PACK",
         "take the weights that this pack of the same model has as\nthey are, and make the others",
         0, 0},
        {0, "zstd", TOOL_U32, &x->zstd, "LEVEL",
         "compress for distribution (1 .. 22); takes longer to open\nand cannot be mapped", 1, 22},
        {0, "no-self-test", TOOL_FLAG, &x->no_self_test, NULL,
         "do not open the pack to store its answer to fixed tokens", 0, 0},
        TOOL_THREADS_OPTION(x->host),
        {'q', "quiet", TOOL_FLAG, &x->host.quiet, NULL, "only errors on stderr", 0, 0},
        {'v', "verbose", TOOL_FLAG, &x->host.verbose, NULL, "the library's log on stderr", 0, 0},
    };
    const tool_spec spec = {
        .usage = "remora convert -m MODEL -o FILE [options]",
        .about = "Writes a model to a .remora pack: one file that opens by being mapped, with the\n"
                 "weights in the types that a recipe gives them. The pack appears when it is\n"
                 "whole; an interrupted conversion leaves nothing behind.",
        .more = "examples:\n  remora convert -m DeepSeek-V2-Lite -o v2-lite.remora -r experts-q4\n"
                "  remora convert --list-recipes",
        .options = options,
        .n_options = sizeof options / sizeof options[0]};
    return tool_parse(&spec, argc, argv);
}

static int list_recipes(void)
{
    const char *name, *yaml;
    for (uint32_t i = 0; remora_recipe_get(i, &name, &yaml, NULL) == REMORA_OK; i++)
        tool_printf("%s%s", i > 0 ? "\n" : "", yaml);
    return TOOL_OK;
}

static int32_t REMORA_CALL on_progress(void *user, uint64_t done, uint64_t total)
{
    const convert *x = user;
    char what[64];
    const double spent = tool_seconds() - x->start;
    const double left = done > 0 ? spent * ((double)total / (double)done - 1) : 0;
    if (spent < 2 || done == 0)
        snprintf(what, sizeof what, "converting");
    else
        snprintf(what, sizeof what, "converting, %u:%02u left", (unsigned)left / 60,
                 (unsigned)left % 60);
    tool_bar(what, done, total);
    return 0;
}

/* A built-in name as it is; else a file's text, which the caller frees. */
static int read_recipe(const char *arg, char **text)
{
    const char *name;
    size_t n;
    *text = NULL;
    for (uint32_t i = 0; arg && remora_recipe_get(i, &name, NULL, NULL) == REMORA_OK; i++)
        if (strcmp(name, arg) == 0) arg = NULL;
    if (!arg || strpbrk(arg, "/.") == NULL)
        return TOOL_GO; /* no file: the library says what it is */
    return tool_read_file(arg, text, &n) < 0 ? TOOL_FAILED : TOOL_GO;
}

static int run(convert *x)
{
    char *recipe;
    remora_error err = {.struct_size = sizeof err};
    remora_source src;
    if (!x->host.path) return tool_usage("no model: -m PATH is needed");
    if (!x->out) return tool_usage("no output: -o FILE is needed");
    int code = read_recipe(x->recipe, &recipe);
    if (code != TOOL_GO) return code;
    code = tool_runtime(&x->host);
    if (code == TOOL_GO) {
        const remora_convert_opts opts = {.struct_size = sizeof opts,
                                          .flags =
                                              x->no_self_test ? REMORA_CONVERT_NO_SELF_TEST : 0,
                                          .recipe = recipe ? recipe : x->recipe,
                                          .importance = x->importance,
                                          .base = x->base,
                                          .zstd_level = (int32_t)x->zstd,
                                          .cancel = tool_cancel(),
                                          .progress_user = x,
                                          .progress = x->host.quiet ? NULL : on_progress};
        tool_source(&x->host, &src);
        x->start = tool_seconds();
        const remora_status st = remora_convert(x->host.rt, &src, x->out, &opts, &err);
        if (!x->host.quiet) tool_bar_clear();
        code = st < 0 ? tool_fail(st, x->host.path, &err) : TOOL_OK;
    }
    free(recipe);
    return code;
}

int tool_convert(int argc, char **argv)
{
    convert x = {0};
    int code = parse(&x, argc, argv);
    if (code != TOOL_GO) return code;
    if (x.list) return list_recipes();
    code = run(&x);
    tool_close(&x.host);
    return code;
}
