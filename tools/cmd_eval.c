/* remora eval: how well a model predicts a text, as mean negative log-likelihood per token over
 * windows that do not overlap. Rows of logits are taken in pieces, so memory does not grow with the
 * window. */
#include "commands.h"
#include "host.h"
#include "input.h"
#include "output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 256 }; /* tokens whose rows of logits are held at a time */
enum { AS_TEXT, AS_IDS, AS_I32 };

typedef struct eval {
    tool_host host;
    tool_session session;
    tool_texts words;
    uint64_t max_windows;
    int input, no_bos, format;

    char *text;
    size_t len;
    remora_token *tokens;
    size_t n_tokens;
    remora_token bos[16]; /* what every window of a text begins with */
    size_t n_bos;
    remora_session *s;

    double sum; /* of -log p, over `scored` tokens */
    uint64_t scored, windows;
} eval;

static int parse(eval *e, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(e->host),
        {'i', "input", TOOL_CHOICE, &e->input, "text|ids|i32",
         "the file is text (default), ids written as text,\nor little-endian int32 ids", 0, 0},
        {'c', "ctx", TOOL_U32, &e->session.ctx, "N",
         "tokens of a window (default 512); the last one may\nbe shorter", 2, 4294967295.0},
        {'w', "windows", TOOL_U64, &e->max_windows, "N", "stop after N windows", 0, 0},
        {0, "no-bos", TOOL_FLAG, &e->no_bos, NULL,
         "windows of a text do not begin with the begin\ntoken; ids are always taken as they are",
         0, 0},
        {'o', "output", TOOL_CHOICE, &e->format, TOOL_FORMATS, "(default md)", 0, 0},
        TOOL_SESSION_OPTIONS(e->session),
        TOOL_THREADS_OPTION(e->host),
        TOOL_ISA_OPTION(e->host),
        TOOL_HOST_OPTIONS(e->host),
    };
    const tool_spec spec = {
        .usage = "remora eval -m MODEL [options] FILE",
        .about = "Mean negative log-likelihood (in nats per token) of a file; - is stdin. Every\n"
                 "token of a window but its first one is scored, given those before it.",
        .more = "example:\n  remora eval -m models/krill --ctx 1024 README.md",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .words = &e->words};
    const int code = tool_parse(&spec, argc, argv);
    if (code != TOOL_GO) return code;
    return e->words.n == 1 ? TOOL_GO : tool_usage("give one file, or - for stdin");
}

static int read_tokens(eval *e)
{
    int st = tool_read_file(e->words.v[0], &e->text, &e->len);
    if (st < 0) return TOOL_FAILED;
    if (e->input == AS_IDS)
        st = tool_parse_ids(e->text, e->len, &e->tokens, &e->n_tokens);
    else if (e->input == AS_I32)
        st = tool_unpack_ids(e->text, e->len, &e->tokens, &e->n_tokens);
    else
        st = tool_tokenize(e->host.model, e->text, e->len, 0, &e->tokens, &e->n_tokens);
    if (st < 0) return TOOL_FAILED;
    if (e->input != AS_TEXT || e->no_bos) return TOOL_GO;
    const remora_status bos =
        remora_tokenize(e->host.model, NULL, 0, REMORA_TEXT_BOS, e->bos, 16, &e->n_bos);
    return bos < 0 ? tool_fail(bos, "begin token", NULL) : TOOL_GO;
}

static int make_session(eval *e)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session_opts opts;
    if (e->session.ctx <= e->n_bos) return tool_usage("--ctx %u is too short", e->session.ctx);
    tool_session_opts(&e->session, e->session.ctx, &opts);
    const remora_status st = remora_session_create(e->host.model, &opts, &e->s, &err);
    return st < 0 ? tool_fail(st, "session", &err) : TOOL_GO;
}

/* Evaluates n tokens and scores next[0 .. n - 1], the tokens that come after each of them. */
static int score(eval *e, const remora_token *t, size_t n, const remora_token *next)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_eval_opts opts = {.struct_size = sizeof opts, .cancel = tool_cancel()};
    remora_status st = remora_session_append(e->s, t, n, next ? REMORA_WANT_ALL : 0);
    if (st == REMORA_OK) st = remora_eval(&e->s, 1, &opts, &err);
    for (size_t i = 0; st == REMORA_OK && next && i < n; i++) {
        float logprob = 0;
        st = remora_session_logprob(e->s, (uint32_t)i, next[i], &logprob);
        e->sum -= (double)logprob;
        e->scored++;
    }
    return st < 0 ? tool_fail(st, "eval", &err) : TOOL_GO;
}

/* One window: the begin tokens, of which the last one predicts the first token, then the rest. */
static int score_window(eval *e, const remora_token *t, size_t n)
{
    int code = TOOL_GO;
    const remora_status st = remora_session_trim(e->s, 0);
    if (st < 0) return tool_fail(st, "eval", NULL);
    if (e->n_bos > 1) code = score(e, e->bos, e->n_bos - 1, NULL);
    if (code == TOOL_GO && e->n_bos > 0) code = score(e, e->bos + e->n_bos - 1, 1, t);
    for (size_t i = 0; code == TOOL_GO && i + 1 < n; i += PIECE) {
        const size_t left = n - 1 - i;
        code = score(e, t + i, left < PIECE ? left : PIECE, t + i + 1);
    }
    e->windows++;
    return code;
}

static int score_all(eval *e)
{
    const size_t step = e->session.ctx - e->n_bos;
    const size_t least = e->n_bos ? 1 : 2; /* tokens that have something to score */
    int code = TOOL_GO;
    for (size_t i = 0; code == TOOL_GO && i + least <= e->n_tokens; i += step) {
        const size_t left = e->n_tokens - i;
        if (e->max_windows && e->windows == e->max_windows) break;
        if (!e->host.quiet) tool_bar("eval", i, e->n_tokens);
        code = score_window(e, e->tokens + i, left < step ? left : step);
    }
    if (!e->host.quiet) tool_bar_clear();
    if (code == TOOL_GO && e->scored == 0) {
        fputs("remora: the file has no token to score\n", stderr);
        code = TOOL_FAILED;
    }
    return code;
}

static int print_result(const eval *e, double seconds)
{
    static const tool_column columns[] = {
        {"model_type", TOOL_CELL_TEXT},      {"n_ctx", TOOL_CELL_NUMBER},
        {"windows", TOOL_CELL_NUMBER},       {"tokens_scored", TOOL_CELL_NUMBER},
        {"mean_nll", TOOL_CELL_NUMBER},      {"perplexity", TOOL_CELL_NUMBER},
        {"bits_per_byte", TOOL_CELL_NUMBER}, {"seconds", TOOL_CELL_NUMBER},
        {"avg_ts", TOOL_CELL_NUMBER}};
    tool_table t = {.columns = columns, .n_columns = 9};
    const double mean = e->sum / (double)e->scored;
    tool_table_add(&t, "%s", e->host.info.family);
    tool_table_add(&t, "%u", e->session.ctx);
    tool_table_add(&t, "%llu", (unsigned long long)e->windows);
    tool_table_add(&t, "%llu", (unsigned long long)e->scored);
    tool_table_add(&t, "%.7f", mean);
    tool_table_add(&t, "%.4f", exp(mean));
    /* only where every byte of the text was predicted */
    if (e->input == AS_TEXT && e->scored == e->n_tokens)
        tool_table_add(&t, "%.4f", e->sum / log(2) / (double)e->len);
    else
        tool_table_add(&t, e->format == TOOL_JSON ? "null" : "");
    tool_table_add(&t, "%.2f", seconds);
    tool_table_add(&t, "%.1f", (double)e->scored / seconds);
    const int st = tool_table_print(&t, e->format);
    tool_table_free(&t);
    return st < 0 ? TOOL_FAILED : TOOL_OK;
}

static int work(eval *e)
{
    int code = tool_open(&e->host, 0);
    if (code == TOOL_GO) code = read_tokens(e);
    if (code == TOOL_GO) code = make_session(e);
    const double start = tool_seconds();
    if (code == TOOL_GO) code = score_all(e);
    return code == TOOL_GO ? print_result(e, tool_seconds() - start) : code;
}

int tool_eval(int argc, char **argv)
{
    eval e = {.session = {.ctx = 512}};
    int code = parse(&e, argc, argv);
    if (code == TOOL_GO) code = work(&e);
    remora_session_free(e.s);
    tool_close(&e.host);
    free(e.tokens);
    free(e.text);
    return code;
}
