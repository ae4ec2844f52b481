/* SPDX-License-Identifier: Apache-2.0 */
/* remora generate: continue a text, token by token, to stdout. */
#include "commands.h"
#include "drafts.h"
#include "host.h"
#include "input.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct generate {
    tool_host host;
    tool_session session;
    const char *prompt, *file;
    uint64_t n, seed;
    double temp, top_p, min_p, repeat;
    uint32_t top_k;
    tool_drafts drafts;
    tool_texts stop;
    const char *schema, *grammar, *regex, *choice; /* what the text may be */
    int ids, no_bos, special, echo, keep_stop;

    char *text; /* the prompt as read */
    size_t text_len;
    remora_token *tokens;
    size_t n_tokens;
    remora_session *s;
    remora_sampler *p;
    uint64_t made; /* tokens generated */
} generate;

static int parse(generate *g, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(g->host),
        {'p', "prompt", TOOL_TEXT, &g->prompt, "TEXT", "the text to continue", 0, 0},
        {'f', "file", TOOL_TEXT, &g->file, "PATH", "read it from a file; - is stdin", 0, 0},
        {'n', "tokens", TOOL_U64, &g->n, "N", "most tokens to generate (default 128);\n0: no limit",
         0, 0},
        {0, "temp", TOOL_REAL, &g->temp, "X",
         "temperature (default 0.7); 0 takes the most\nprobable token", 0, 1e6},
        {0, "top-k", TOOL_U32, &g->top_k, "N", "keep the N most probable; 0 (default): all", 0,
         1e9},
        TOOL_TOP_P_OPTION(g->top_p),
        {0, "min-p", TOOL_REAL, &g->min_p, "X",
         "keep those at least X times as probable as\n"
         "the best; 0 (default): all",
         0, 1},
        {0, "repeat", TOOL_REAL, &g->repeat, "X",
         "penalty on tokens already in the text;\n"
         "1 (default): none",
         1e-3, 1e3},
        TOOL_SEED_OPTION(g->seed),
        {0, "stop", TOOL_TEXTS, &g->stop, "TEXT",
         "end before this text, which is left out;\nmay be repeated", 0, 0},
        {0, "keep-stop", TOOL_FLAG, &g->keep_stop, NULL, "write that text too", 0, 0},
        {0, "json-schema", TOOL_TEXT, &g->schema, "PATH",
         "the text is JSON that this schema allows", 0, 0},
        {0, "grammar", TOOL_TEXT, &g->grammar, "PATH",
         "the text is one of this grammar (GBNF, from its\nrule `root` on; in a file .lark Lark's "
         "form)",
         0, 0},
        {0, "regex", TOOL_TEXT, &g->regex, "REGEX", "the whole text matches it", 0, 0},
        {0, "choice", TOOL_TEXT, &g->choice, "A,B,..", "the text is one of these", 0, 0},
        TOOL_DRAFT_OPTION(g->drafts),
        {0, "echo", TOOL_FLAG, &g->echo, NULL, "write the prompt too", 0, 0},
        {0, "no-bos", TOOL_FLAG, &g->no_bos, NULL, "do not begin with the begin token", 0, 0},
        {0, "special", TOOL_FLAG, &g->special, NULL,
         "markup in the prompt (\"<|User|>\") becomes\n"
         "those tokens",
         0, 0},
        {0, "ids", TOOL_FLAG, &g->ids, NULL,
         "prompt and output are token ids, for models\n"
         "without a tokenizer",
         0, 0},
        {0, "ctx", TOOL_U32, &g->session.ctx, "N",
         "most tokens of the timeline (default: what is\n"
         "needed)",
         1, 4294967295.0},
        TOOL_SESSION_OPTIONS(g->session),
        TOOL_DEVICE_OPTION(g->host),
        TOOL_THREADS_OPTION(g->host),
        TOOL_ISA_OPTION(g->host),
        TOOL_EXTRA_OPTION(g->host),
        TOOL_HOST_OPTIONS(g->host),
    };
    const tool_spec spec = {
        .usage = "remora generate -m MODEL (-p TEXT | -f FILE) [options]",
        .about = "Continues a text and writes it to stdout as it comes. The same options give the\n"
                 "same text on every machine. Ctrl-C ends it cleanly.",
        .more =
            "Stages run in this order: repeat, temperature, top-k, top-p, min-p.\n\n"
            "example:\n  remora generate -m models/krill -p \"Once upon a time\" -n 50 --temp 0",
        .options = options,
        .n_options = sizeof options / sizeof options[0]};
    const int code = tool_parse(&spec, argc, argv);
    if (code != TOOL_GO) return code;
    if (!g->prompt == !g->file) return tool_usage("give the prompt with -p or with -f");
    if (!!g->schema + !!g->grammar + !!g->regex + !!g->choice > 1)
        return tool_usage("give one of --json-schema, --grammar, --regex and --choice");
    return tool_drafts_parse(&g->drafts);
}

static int read_prompt(generate *g)
{
    uint32_t flags = (g->no_bos ? 0 : REMORA_TEXT_BOS) | (g->special ? REMORA_TEXT_SPECIAL : 0);
    const char *text = g->prompt;
    int st;
    if (g->file) {
        if (tool_read_file(g->file, &g->text, &g->text_len) < 0) return TOOL_FAILED;
        text = g->text;
    } else {
        g->text_len = strlen(text);
    }
    if (g->ids)
        st = tool_parse_ids(text, g->text_len, &g->tokens, &g->n_tokens);
    else
        st = tool_tokenize(g->host.model, text, g->text_len, flags, &g->tokens, &g->n_tokens);
    if (st < 0) return TOOL_FAILED;
    if (g->n_tokens == 0) return tool_usage("the prompt is empty");
    if (g->echo) tool_write(text, g->text_len);
    if (g->echo && g->ids) tool_write(" ", 1);
    tool_flush();
    return TOOL_GO;
}

/* The texts between commas. Returns how many there are; out may be NULL. */
static size_t split(const char *list, remora_text *out)
{
    for (size_t n = 0;; n++) {
        const size_t len = strcspn(list, ",");
        if (out != NULL) out[n] = (remora_text){list, len};
        if (list[len] == 0) return n + 1;
        list += len + 1;
    }
}

static remora_status constrain_to(generate *g, const remora_constraint_opts *o, remora_error *err)
{
    remora_constraint *c;
    remora_status st = remora_constraint_create(g->host.model, o, &c, err);
    if (st < 0) return st;
    st = remora_sampler_constrain(g->p, c, err);
    remora_constraint_free(c);
    return st;
}

/* Grammars do not say what they are, and a rule may look alike in both forms: the name decides. */
static int is_lark(const char *path)
{
    const size_t n = strlen(path);
    return n > 5 && strcmp(path + n - 5, ".lark") == 0;
}

/* The constraint that the options ask for, if they do. */
static int constrain(generate *g)
{
    remora_error err = {.struct_size = sizeof err};
    remora_constraint_opts o = {.struct_size = sizeof o};
    char *text = NULL;
    size_t n = 0;
    remora_text *choices = NULL;
    if (g->schema || g->grammar) {
        if (tool_read_file(g->schema ? g->schema : g->grammar, &text, &n) < 0) return TOOL_FAILED;
        o.kind = g->schema             ? REMORA_CONSTRAINT_JSON_SCHEMA
                 : is_lark(g->grammar) ? REMORA_CONSTRAINT_LARK
                                       : REMORA_CONSTRAINT_GBNF;
        o.source = (remora_text){text, n};
    } else if (g->regex) {
        o.kind = REMORA_CONSTRAINT_REGEX;
        o.source = (remora_text){g->regex, strlen(g->regex)};
    } else if (g->choice) {
        o.kind = REMORA_CONSTRAINT_CHOICE;
        o.n_choices = split(g->choice, NULL);
        if ((choices = malloc((size_t)o.n_choices * sizeof *choices)) == NULL) return TOOL_FAILED;
        split(g->choice, choices);
        o.choices = choices;
    } else {
        return TOOL_GO;
    }
    const remora_status st = constrain_to(g, &o, &err);
    free(text);
    free(choices);
    return st < 0 ? tool_fail(st, "constraint", &err) : TOOL_GO;
}

static remora_status make_sampler(generate *g, remora_error *err)
{
    remora_status st = remora_sampler_create(g->host.model, g->seed, &g->p, err);
    if (st == REMORA_OK && g->repeat != 1)
        st = tool_add_stage(g->p, REMORA_STAGE_REPEAT, g->repeat, 0, err);
    if (st == REMORA_OK) st = tool_add_stage(g->p, REMORA_STAGE_TEMPERATURE, g->temp, 0, err);
    if (st == REMORA_OK && g->top_k)
        st = tool_add_stage(g->p, REMORA_STAGE_TOP_K, 0, g->top_k, err);
    if (st == REMORA_OK) st = tool_add_top_p(g->p, g->top_p, err);
    if (st == REMORA_OK && g->min_p > 0)
        st = tool_add_stage(g->p, REMORA_STAGE_MIN_P, g->min_p, 0, err);
    for (size_t i = 0; st == REMORA_OK && g->repeat != 1 && i < g->n_tokens; i++)
        st = remora_sampler_accept(g->p, g->tokens[i], err);
    return st;
}

static int make_session(generate *g)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session_opts opts;
    g->session.predicts = g->drafts.most > 0;
    tool_session_opts(&g->session, tool_capacity(&g->host, &g->session, g->n_tokens, g->n), &opts);
    remora_status st = remora_session_create(g->host.model, &opts, &g->s, &err);
    if (st < 0) return tool_fail(st, "session", &err);
    st = make_sampler(g, &err);
    if (st < 0) return tool_fail(st, "sampler", &err);
    const int code = constrain(g);
    if (code != TOOL_GO) return code;
    st = remora_session_append(g->s, g->tokens, g->n_tokens, REMORA_WANT_LAST, NULL);
    if (st == REMORA_E_FULL) {
        fprintf(stderr, "remora: the prompt has %zu tokens, the context %u\n", g->n_tokens,
                opts.capacity);
        return TOOL_FAILED;
    }
    return st < 0 ? tool_fail(st, "prompt", &err) : TOOL_GO;
}

/* The prompt in pieces, so that a long one shows how far it is; pieces change no result. */
static int prefill(generate *g)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_eval_opts opts = {
        .struct_size = sizeof opts, .max_tokens = 1024, .cancel = tool_cancel()};
    remora_session_info info = {.struct_size = sizeof info};
    remora_status st;
    while ((st = remora_eval(&g->s, 1, &opts, &err)) == REMORA_MORE) {
        remora_session_get_info(g->s, &info, NULL);
        if (!g->host.quiet) tool_bar("prompt ", info.committed, g->n_tokens);
    }
    if (g->n_tokens > opts.max_tokens && !g->host.quiet) tool_bar_clear();
    return st < 0 ? tool_fail(st, "prompt", &err) : TOOL_GO;
}

/* The next tokens, as numbers or as text. */
static remora_status next(generate *g, const remora_gen_opts *opts, remora_error *err)
{
    char text[256];
    remora_token t;
    size_t n = 0, made = 0;
    remora_status st;
    if (g->ids) {
        st = remora_generate(g->s, g->p, opts, &t, 1, &made, err);
        if (made > 0) tool_printf("%s%d", g->made > 0 ? " " : "", t);
    } else {
        st = remora_generate_text(g->s, g->p, opts, text, sizeof text, &n, NULL, 0, &made, err);
        tool_write(text, n);
    }
    tool_flush();
    g->made += made;
    return st;
}

/* The text of the generation's tokens from byte `from` on. */
static remora_status write_from(const generate *g, const remora_token *t, size_t n, uint64_t from,
                                remora_error *err)
{
    remora_detok d = {{0}};
    char text[1 << 16];
    uint64_t at = 0;
    size_t len;
    for (size_t i = 0; i <= n; i++) {
        const remora_status st =
            i < n ? remora_detok_push(g->host.model, &d, t + i, 1, text, sizeof text, &len, err)
                  : remora_detok_flush(g->host.model, &d, text, sizeof text, &len, err);
        if (st < 0) return st;
        const uint64_t skip = from > at ? from - at : 0;
        if (skip < len) tool_write(text + skip, len - (size_t)skip);
        at += len;
    }
    return REMORA_OK;
}

/* An interrupt leaves text that was made and is held back, because it may become a stop text. It
 * will not any more. */
static remora_status write_held(const generate *g, remora_error *err)
{
    remora_generation_info i = {.struct_size = sizeof i};
    size_t n = 0;
    remora_status st = remora_session_get_generation(g->s, &i, err);
    remora_token *const t = malloc((size_t)(i.n_tokens + 1) * sizeof *t);
    if (t == NULL) st = REMORA_E_NOMEM;
    if (st >= 0) st = remora_session_tokens(g->s, g->n_tokens, t, (size_t)i.n_tokens, &n, err);
    if (st >= 0) st = write_from(g, t, n, i.text_bytes, err);
    free(t);
    return st;
}

static int stream(generate *g)
{
    remora_error err = {.struct_size = sizeof err};
    remora_text stop[sizeof g->stop.v / sizeof g->stop.v[0]];
    const remora_gen_opts opts = {.struct_size = sizeof opts,
                                  .flags =
                                      g->keep_stop && !g->ids ? (uint32_t)REMORA_GEN_KEEP_STOP : 0,
                                  .max_tokens = g->n,
                                  .stop = stop,
                                  .n_stop = g->stop.n,
                                  .cancel = tool_cancel(),
                                  .max_drafts = g->drafts.most};
    remora_status st;
    for (size_t i = 0; i < g->stop.n; i++) stop[i] = tool_text(g->stop.v[i]);
    do {
        st = next(g, &opts, &err);
        if (tool_output_failed()) return TOOL_FAILED; /* the message comes with closing */
    } while (st == REMORA_MORE);
    if (st == REMORA_E_CANCELLED && !g->ids) {
        const remora_status held = write_held(g, &err);
        if (held < 0) st = held;
    }
    tool_write("\n", 1);
    tool_flush();
    return st < 0 && st != REMORA_E_FULL ? tool_fail(st, "generate", &err) : TOOL_OK;
}

static void print_end(const generate *g)
{
    remora_generation_info i = {.struct_size = sizeof i};
    if (remora_session_get_generation(g->s, &i, NULL) < 0) return;
    if (i.reason == REMORA_REASON_STOP) fprintf(stderr, "ended with \"%s\"\n", g->stop.v[i.stop]);
    if (i.reason == REMORA_REASON_END_OF_TURN) fputs("ended by the model\n", stderr);
    if (i.reason == REMORA_REASON_MAX_TOKENS)
        fprintf(stderr, "ended after %llu tokens\n", (unsigned long long)i.n_tokens);
    if (i.reason == REMORA_REASON_CAPACITY) fputs("ended because the context is full\n", stderr);
}

static void print_rate(const char *what, uint64_t tokens, double seconds)
{
    fprintf(stderr, "%-8s %6llu tokens %9.3f s %9.1f tokens/s\n", what, (unsigned long long)tokens,
            seconds, seconds > 0 ? (double)tokens / seconds : 0);
}

static int work(generate *g)
{
    int code = tool_open(&g->host, 0);
    if (code == TOOL_GO) code = read_prompt(g);
    if (code == TOOL_GO) code = make_session(g);
    if (code != TOOL_GO) return code;
    const double start = tool_seconds();
    code = prefill(g);
    if (code != TOOL_GO) return code;
    const double middle = tool_seconds();
    code = stream(g);
    const double end = tool_seconds();
    if (!g->host.quiet && code != TOOL_FAILED) {
        fprintf(stderr, "\nopened in %.2f s\n", g->host.open_seconds);
        print_rate("prefill", g->n_tokens, middle - start);
        print_rate("decode", g->made, end - middle);
        tool_drafts_print(g->s);
        print_end(g);
    }
    return code;
}

int tool_generate(int argc, char **argv)
{
    generate g = {.n = 128, .seed = 42, .temp = 0.7, .top_p = 0.95, .repeat = 1};
    int code = parse(&g, argc, argv);
    if (code == TOOL_GO) code = work(&g);
    remora_sampler_free(g.p);
    remora_session_free(g.s);
    tool_close(&g.host);
    free(g.tokens);
    free(g.text);
    return code;
}
