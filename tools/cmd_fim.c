/* SPDX-License-Identifier: Apache-2.0 */
/* remora fim: fill the hole between two texts. */
#include "commands.h"
#include "drafts.h"
#include "host.h"
#include "input.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FILES = 64, MOST_STOPS = 16 };

typedef struct filling {
    tool_host host;
    tool_session session;
    const char *prefix, *suffix, *file, *hole, *repo, *path;
    tool_texts with;
    uint64_t n, seed, max_prompt;
    double temp, top_p;
    tool_drafts drafts;
    int heal, whole;

    char *text; /* the file as read */
    size_t n_prefix, n_suffix;
    char *others[MOST_FILES];
    remora_file files[MOST_FILES];
    remora_token *tokens;
    size_t n_tokens;
    remora_fim_info info;
    remora_session *s;
    remora_sampler *p;
    uint64_t healed; /* bytes of info.heal that were made and not written */
} filling;

static int parse(filling *g, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(g->host),
        {'p', "prefix", TOOL_TEXT, &g->prefix, "TEXT", "the text before the hole", 0, 0},
        {0, "suffix", TOOL_TEXT, &g->suffix, "TEXT", "the text behind it", 0, 0},
        {'f', "file", TOOL_TEXT, &g->file, "PATH", "read both from a file; - is stdin", 0, 0},
        {0, "hole", TOOL_TEXT, &g->hole, "TEXT",
         "what stands in the file for the hole\n(default <FILL>)", 0, 0},
        {'n', "tokens", TOOL_U64, &g->n, "N", "most tokens to generate (default 128);\n0: no limit",
         0, 0},
        {0, "heal", TOOL_FLAG, &g->heal, NULL, "the text before may end in the middle of a word", 0,
         0},
        {0, "whole", TOOL_FLAG, &g->whole, NULL, "write the texts before and behind too", 0, 0},
        {0, "repo", TOOL_TEXT, &g->repo, "NAME", "name of the repository", 0, 0},
        {0, "path", TOOL_TEXT, &g->path, "PATH", "name of the file with the hole", 0, 0},
        {0, "with", TOOL_TEXTS, &g->with, "PATH",
         "another file of the repository, the nearest\nlast; may be repeated", 0, 0},
        {0, "max-prompt", TOOL_U64, &g->max_prompt, "N",
         "most tokens of the prompt (default: what the\ncontext leaves)", 0, 0},
        {0, "temp", TOOL_REAL, &g->temp, "X",
         "temperature; 0 (default) takes the most\nprobable token", 0, 1e6},
        TOOL_TOP_P_OPTION(g->top_p),
        TOOL_SEED_OPTION(g->seed),
        TOOL_DRAFT_OPTION(g->drafts),
        {0, "ctx", TOOL_U32, &g->session.ctx, "N",
         "most tokens of the timeline (default: what is\nneeded)", 1, 4294967295.0},
        TOOL_SESSION_OPTIONS(g->session),
        TOOL_THREADS_OPTION(g->host),
        TOOL_DEVICE_OPTION(g->host),
        TOOL_ISA_OPTION(g->host),
        TOOL_HOST_OPTIONS(g->host),
    };
    const tool_spec spec = {
        .usage = "remora fim -m MODEL (-p TEXT | -f FILE) [options]",
        .about = "Writes what belongs between two texts, with a model that was trained for it\n"
                 "(DeepSeek-Coder, DeepSeek-V3, Qwen2.5-Coder, krill). Ctrl-C ends it cleanly.",
        .more = "example:\n  remora fim -m models/krill -f add.py --hole @@ --heal --whole",
        .options = options,
        .n_options = sizeof options / sizeof options[0]};
    const int code = tool_parse(&spec, argc, argv);
    if (code != TOOL_GO) return code;
    if (!g->file == !g->prefix) return tool_usage("give the text before with -p, or both with -f");
    if (g->file && g->suffix) return tool_usage("--suffix goes with -p; -f has both texts");
    return tool_drafts_parse(&g->drafts);
}

/* Cut the file at the hole. */
static int split(filling *g, size_t len)
{
    char *at = strstr(g->text, g->hole);
    if (at == NULL) {
        fprintf(stderr, "remora: %s: there is no \"%s\" in it\n", g->file, g->hole);
        return TOOL_FAILED;
    }
    g->prefix = g->text;
    g->n_prefix = (size_t)(at - g->text);
    g->suffix = at + strlen(g->hole);
    g->n_suffix = len - (size_t)(g->suffix - g->text);
    return TOOL_GO;
}

static int read_texts(filling *g)
{
    size_t len;
    for (size_t i = 0; i < g->with.n; i++) {
        if (tool_read_file(g->with.v[i], &g->others[i], &len) < 0) return TOOL_FAILED;
        g->files[i] = (remora_file){tool_text(g->with.v[i]), {g->others[i], len}};
    }
    if (g->file) {
        if (tool_read_file(g->file, &g->text, &len) < 0) return TOOL_FAILED;
        return split(g, len);
    }
    g->n_prefix = strlen(g->prefix);
    g->n_suffix = g->suffix ? strlen(g->suffix) : 0;
    return TOOL_GO;
}

/* What the context leaves for the prompt, unless the user says it. */
static uint64_t room_for_prompt(const filling *g)
{
    const uint64_t ctx = g->session.ctx ? g->session.ctx : g->host.info.max_context;
    if (g->max_prompt) return g->max_prompt;
    return ctx > g->n + 16 ? ctx - g->n : ctx;
}

static int make_prompt(filling *g)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_fim_opts o = {.struct_size = sizeof o,
                               .flags = g->heal ? (uint32_t)REMORA_FIM_HEAL : 0,
                               .max_tokens = room_for_prompt(g),
                               .repo = tool_text(g->repo),
                               .path = tool_text(g->path),
                               .files = g->files,
                               .n_files = g->with.n};
    size_t need = 0;
    g->info.struct_size = sizeof g->info;
    remora_status st = remora_fim(g->host.model, g->prefix, g->n_prefix, g->suffix, g->n_suffix, &o,
                                  NULL, 0, &need, &g->info, &err);
    if (st != REMORA_E_BUFFER) return tool_fail(st, "fim", &err);
    if ((g->tokens = malloc(need * sizeof *g->tokens)) == NULL)
        return tool_fail(REMORA_E_NOMEM, "prompt", NULL);
    st = remora_fim(g->host.model, g->prefix, g->n_prefix, g->suffix, g->n_suffix, &o, g->tokens,
                    need, &g->n_tokens, &g->info, &err);
    if (st < 0) return tool_fail(st, "fim", &err);
    if (g->info.is_cut && !g->host.quiet)
        fprintf(stderr, "the prompt was cut to %zu tokens: %llu before the hole, %llu behind it\n",
                g->n_tokens, (unsigned long long)g->info.prefix_tokens,
                (unsigned long long)g->info.suffix_tokens);
    return TOOL_GO;
}

static int make_session(filling *g)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session_opts opts;
    g->session.predicts = g->drafts.most > 0;
    tool_session_opts(&g->session, tool_capacity(&g->host, &g->session, g->n_tokens, g->n), &opts);
    remora_status st = remora_session_create(g->host.model, &opts, &g->s, &err);
    if (st >= 0) st = remora_sampler_create(g->host.model, g->seed, &g->p, &err);
    if (st >= 0) st = tool_add_stage(g->p, REMORA_STAGE_TEMPERATURE, g->temp, 0, &err);
    if (st >= 0) st = tool_add_top_p(g->p, g->top_p, &err);
    if (st >= 0) st = remora_sampler_spell(g->p, g->info.heal, g->info.n_heal, &err);
    if (st >= 0) st = remora_session_append(g->s, g->tokens, g->n_tokens, REMORA_WANT_LAST, &err);
    return st < 0 ? tool_fail(st, "session", &err) : TOOL_GO;
}

/* Write what was made, but for the end of the prefix that it begins with. */
static void write_made(filling *g, const char *text, size_t n)
{
    const uint64_t left = g->info.n_heal - g->healed, skip = left < n ? left : n;
    g->healed += skip;
    tool_write(text + skip, n - (size_t)skip);
    tool_flush();
}

static int stream(filling *g)
{
    remora_error err = {.struct_size = sizeof err};
    remora_text stop[MOST_STOPS];
    uint32_t n_stop = 0;
    char text[512];
    size_t n;
    remora_status st;
    while (n_stop < MOST_STOPS &&
           remora_fim_stop(g->host.model, n_stop, &stop[n_stop], NULL) == REMORA_OK)
        n_stop++;
    const remora_gen_opts opts = {.struct_size = sizeof opts,
                                  .max_tokens = g->n,
                                  .stop = stop,
                                  .n_stop = n_stop,
                                  .cancel = tool_cancel(),
                                  .max_drafts = g->drafts.most};
    if (g->whole) tool_write(g->prefix, g->n_prefix);
    do {
        n = 0;
        st = remora_generate_text(g->s, g->p, &opts, text, sizeof text, &n, NULL, 0, NULL, &err);
        write_made(g, text, n);
        if (tool_output_failed()) return TOOL_FAILED; /* the message comes with closing */
    } while (st == REMORA_MORE);
    if (g->whole) tool_write(g->suffix, g->n_suffix);
    if (!g->whole) tool_write("\n", 1);
    tool_flush();
    return st < 0 && st != REMORA_E_FULL ? tool_fail(st, "generate", &err) : TOOL_OK;
}

static int fill(filling *g)
{
    int code = read_texts(g);
    if (code == TOOL_GO) code = tool_open(&g->host, 0);
    if (code == TOOL_GO && tool_need_text(g->host.model) < 0) code = TOOL_FAILED;
    if (code == TOOL_GO) code = make_prompt(g);
    if (code == TOOL_GO) code = make_session(g);
    if (code == TOOL_GO) code = stream(g);
    if (code == TOOL_OK && !g->host.quiet) tool_drafts_print(g->s);
    remora_sampler_free(g->p);
    remora_session_free(g->s);
    tool_close(&g->host);
    free(g->tokens);
    free(g->text);
    for (size_t i = 0; i < g->with.n; i++) free(g->others[i]);
    return code;
}

int tool_fim(int argc, char **argv)
{
    filling g = {.n = 128, .seed = 42, .top_p = 0.95, .hole = "<FILL>"};
    const int code = parse(&g, argc, argv);
    return code == TOOL_GO ? fill(&g) : code;
}
