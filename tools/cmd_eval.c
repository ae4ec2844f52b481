/* SPDX-License-Identifier: Apache-2.0 */
/* remora eval: how well a model predicts a text, as mean negative log-likelihood per token over
 * windows that do not overlap, and how far it is from a reference: a second model that runs beside
 * it, or logits that were saved. Rows of logits are taken in pieces, so memory does not grow with
 * the window. */
#include "commands.h"
#include "host.h"
#include "imatrix.h"
#include "input.h"
#include "logits_file.h"
#include "output.h"
#include "stats.h"
#include "eval_windows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 256 }; /* tokens whose rows of logits are held at a time */
enum { AS_TEXT, AS_IDS, AS_I32 };

typedef struct eval {
    tool_host host, ref_host; /* ref_host has a path when the reference is a model */
    remora_session *s, *ref_s;
    tool_session session;
    tool_texts words;
    uint64_t max_windows;
    uint32_t piece; /* tokens of an append */
    int input, no_bos, format;
    const char *lines_path, *ref_logits, *save_logits, *imatrix;

    char *text;
    size_t len, n_text_tokens; /* of a text that was tokenized */
    tool_windows windows;
    tool_logits_file in, out;
    float *row; /* of the file `in` */

    tool_series nll, ref_nll, nll_diff, kl; /* one number for every scored token */
    uint64_t agreed;                        /* tokens with the same best entry in both */
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
        {0, "piece", TOOL_U32, &e->piece, "N",
         "tokens appended at once (default 256): less than 32\nare computed as decoding is", 1,
         65536},
        {0, "ids", TOOL_TEXT, &e->lines_path, "FILE",
         "ids written as text, one window a line, instead of\nthe other file", 0, 0},
        {0, "no-bos", TOOL_FLAG, &e->no_bos, NULL,
         "windows of a text do not begin with the begin\ntoken; ids are always taken as they are",
         0, 0},
        {0, "reference", TOOL_TEXT, &e->ref_host.path, "MODEL",
         "compare with this model, run side by side", 0, 0},
        {0, "reference-logits", TOOL_TEXT, &e->ref_logits, "FILE",
         "compare with saved logits, over the windows that\nare saved with them", 0, 0},
        {0, "save-logits", TOOL_TEXT, &e->save_logits, "FILE",
         "save the logits of -m as a reference", 0, 0},
        {0, "imatrix", TOOL_TEXT, &e->imatrix, "FILE",
         "save the mean square of every weight's inputs, by\ncolumn, for remora convert", 0, 0},
        {'o', "output", TOOL_CHOICE, &e->format, TOOL_FORMATS, "(default md)", 0, 0},
        TOOL_SESSION_OPTIONS(e->session),
        TOOL_DEVICE_OPTION(e->host),
        TOOL_THREADS_OPTION(e->host),
        TOOL_ISA_OPTION(e->host),
        TOOL_EXTRA_OPTION(e->host),
        TOOL_HOST_OPTIONS(e->host),
    };
    const tool_spec spec = {
        .usage = "remora eval -m MODEL [options] FILE",
        .about = "Mean negative log-likelihood (in nats per token) of a file; - is stdin. Every\n"
                 "token of a window but its first one is scored, given those before it. With a\n"
                 "reference also the KL divergence from it and how often the best token is the\n"
                 "same.",
        .more = "examples:\n  remora eval -m models/krill --ctx 1024 README.md\n"
                "  remora eval -m small.remora --reference models/krill README.md",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .words = &e->words};
    const int code = tool_parse(&spec, argc, argv);
    if (code != TOOL_GO) return code;
    if (e->ref_host.path && e->ref_logits)
        return tool_usage("give --reference or --reference-logits, not both");
    if (e->ref_logits && (e->words.n > 0 || e->lines_path || e->max_windows))
        return tool_usage("--reference-logits has its own windows: no other file, no --windows");
    if (e->lines_path && e->words.n > 0) return tool_usage("give --ids or another file, not both");
    if (!e->ref_logits && !e->lines_path && e->words.n != 1)
        return tool_usage("give one file, or - for stdin");
    return TOOL_GO;
}

/* ---- windows ---- */

static int cut_text(eval *e)
{
    remora_token *ids = NULL, bos[16];
    size_t n = 0, n_bos = 0;
    int st = tool_tokenize(e->host.model, e->text, e->len, 0, &ids, &n);
    if (st < 0) return TOOL_FAILED;
    if (!e->no_bos) {
        const remora_status got =
            remora_tokenize(e->host.model, NULL, 0, REMORA_TEXT_BOS, bos, 16, &n_bos, NULL);
        if (got < 0) {
            free(ids);
            return tool_fail(got, "begin token", NULL);
        }
    }
    if (e->session.ctx <= n_bos) {
        free(ids);
        return tool_usage("--ctx %u is too short", e->session.ctx);
    }
    e->n_text_tokens = n;
    st = tool_windows_cut(&e->windows, bos, n_bos, ids, n, e->session.ctx, e->max_windows);
    free(ids);
    return st < 0 ? TOOL_FAILED : TOOL_GO;
}

static int cut_ids(eval *e)
{
    remora_token *ids = NULL;
    size_t n = 0;
    int st = e->input == AS_IDS ? tool_parse_ids(e->text, e->len, &ids, &n)
                                : tool_unpack_ids(e->text, e->len, &ids, &n);
    if (st == 0)
        st = tool_windows_cut(&e->windows, NULL, 0, ids, n, e->session.ctx, e->max_windows);
    free(ids);
    return st < 0 ? TOOL_FAILED : TOOL_GO;
}

static int read_windows(eval *e)
{
    int code = TOOL_GO;
    if (e->ref_logits) {
        if (tool_logits_open(&e->in, e->ref_logits, &e->windows) < 0) return TOOL_FAILED;
    } else {
        const char *path = e->lines_path ? e->lines_path : e->words.v[0];
        if (tool_read_file(path, &e->text, &e->len) < 0) return TOOL_FAILED;
        if (e->lines_path) {
            if (tool_windows_lines(&e->windows, e->text, e->len, e->max_windows) < 0)
                return TOOL_FAILED;
        } else {
            code = e->input == AS_TEXT ? cut_text(e) : cut_ids(e);
        }
    }
    if (code == TOOL_GO && e->windows.scored == 0) {
        fputs("remora: the file has no token to score\n", stderr);
        code = TOOL_FAILED;
    }
    return code;
}

/* ---- the models ---- */

static int make_session(const eval *e, const tool_host *host, remora_session **out)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session_opts opts;
    tool_session_opts(&e->session, e->windows.longest, &opts);
    const remora_status st = remora_session_create(host->model, &opts, out, &err);
    return st < 0 ? tool_fail(st, "session", &err) : TOOL_GO;
}

static int same_vocabulary(const eval *e, const char *path, uint32_t n_vocab)
{
    if (n_vocab == e->host.info.n_vocab) return TOOL_GO;
    fprintf(stderr, "remora: %s has a vocabulary of %u tokens, %s one of %u\n", path, n_vocab,
            e->host.path, e->host.info.n_vocab);
    return TOOL_FAILED;
}

/* Ids come from files, and those that are only predicted never reach the library's own check. */
static int check_ids(const eval *e)
{
    for (size_t i = 0; i < e->windows.n_ids; i++) {
        const remora_token t = e->windows.ids[i];
        if (t >= 0 && (uint32_t)t < e->host.info.n_vocab) continue;
        fprintf(stderr, "remora: id %zu of the windows is %d, outside the vocabulary of %u\n", i,
                (int)t, e->host.info.n_vocab);
        return TOOL_FAILED;
    }
    return TOOL_GO;
}

static int open_reference(eval *e)
{
    tool_host *h = &e->ref_host;
    if (e->ref_logits) {
        e->row = malloc(e->in.n_vocab * sizeof *e->row);
        if (!e->row) return tool_fail(REMORA_E_NOMEM, "reference", NULL);
        return same_vocabulary(e, e->ref_logits, e->in.n_vocab);
    }
    if (!h->path) return TOOL_GO;
    h->isa = e->host.isa;
    h->device = e->host.device;
    h->threads = e->host.threads;
    h->no_mmap = e->host.no_mmap;
    h->quiet = e->host.quiet;
    h->verbose = e->host.verbose;
    int code = tool_open(h, 0);
    if (code == TOOL_GO) code = same_vocabulary(e, h->path, h->info.n_vocab);
    return code == TOOL_GO ? make_session(e, h, &e->ref_s) : code;
}

static int create_output(eval *e)
{
    if (!e->save_logits) return TOOL_GO;
    e->out.n_vocab = e->host.info.n_vocab;
    memcpy(e->out.name, e->host.info.name, sizeof e->out.name);
    memcpy(e->out.fingerprint, e->host.info.fingerprint, sizeof e->out.fingerprint);
    return tool_logits_create(&e->out, e->save_logits, &e->windows) < 0 ? TOOL_FAILED : TOOL_GO;
}

/* ---- scoring ---- */

static int run(remora_session *s, const remora_token *t, size_t n, uint32_t want)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_eval_opts opts = {.struct_size = sizeof opts, .cancel = tool_cancel()};
    remora_status st = remora_session_append(s, t, n, want, NULL);
    if (st == REMORA_OK) st = remora_eval(&s, 1, &opts, &err);
    return st < 0 ? tool_fail(st, "eval", &err) : TOOL_GO;
}

/* Row i of a session, measured. */
static int take_row(remora_session *s, uint32_t i, const float **out, tool_row *m)
{
    size_t n;
    const remora_status st = remora_session_logits(s, i, out, &n, NULL);
    if (st < 0) return tool_fail(st, "eval", NULL);
    if (tool_row_measure(*out, n, m) == 0) return TOOL_GO;
    fputs("remora: a logit is not finite\n", stderr);
    return TOOL_FAILED;
}

static int keep(tool_series *s, double v)
{
    return tool_series_add(s, v) < 0 ? tool_fail(REMORA_E_NOMEM, "eval", NULL) : TOOL_GO;
}

/* Row i against the reference's row for the same token. */
static int compare(eval *e, uint32_t i, const float *logits, const tool_row *m, remora_token next)
{
    const double nll = m->log_sum - (double)logits[next];
    const float *ref = e->row;
    double ref_nll;
    tool_row r;
    int code = TOOL_GO;
    if (!e->ref_s) {
        if (tool_logits_read(&e->in, e->row, &r, &ref_nll) < 0) return TOOL_FAILED;
    } else {
        code = take_row(e->ref_s, i, &ref, &r);
        if (code != TOOL_GO) return code;
        ref_nll = r.log_sum - (double)ref[next];
    }
    e->agreed += r.top == m->top;
    code = keep(&e->kl, tool_kl(ref, &r, logits, m, e->host.info.n_vocab));
    if (code == TOOL_GO) code = keep(&e->ref_nll, ref_nll);
    return code == TOOL_GO ? keep(&e->nll_diff, nll - ref_nll) : code;
}

static int score_row(eval *e, uint32_t i, remora_token next)
{
    const float *logits;
    tool_row m;
    int code = take_row(e->s, i, &logits, &m);
    if (code != TOOL_GO) return code;
    const double nll = m.log_sum - (double)logits[next];
    code = keep(&e->nll, nll);
    if (code == TOOL_GO && e->out.out.f && tool_logits_write(&e->out, logits, &m, nll) < 0)
        code = TOOL_FAILED;
    return code == TOOL_GO && (e->ref_s || e->row) ? compare(e, i, logits, &m, next) : code;
}

/* n tokens through one model or both. */
static int run_both(eval *e, const remora_token *t, size_t n, uint32_t want)
{
    const int code = run(e->s, t, n, want);
    return code == TOOL_GO && e->ref_s ? run(e->ref_s, t, n, want) : code;
}

static int score_window(eval *e, const tool_window *w)
{
    const remora_token *t = e->windows.ids + w->at;
    int code = TOOL_GO;
    remora_status st = remora_session_trim(e->s, 0, NULL);
    if (st == REMORA_OK && e->ref_s) st = remora_session_trim(e->ref_s, 0, NULL);
    if (st < 0) return tool_fail(st, "eval", NULL);
    if (w->first > 1) code = run_both(e, t, w->first - 1, REMORA_WANT_NONE);
    for (uint32_t i = w->first - 1; code == TOOL_GO && i + 1 < w->n; i += e->piece) {
        const uint32_t left = w->n - 1 - i, n = left < e->piece ? left : e->piece;
        code = run_both(e, t + i, n, REMORA_WANT_ALL);
        for (uint32_t r = 0; code == TOOL_GO && r < n; r++) code = score_row(e, r, t[i + r + 1]);
    }
    return code;
}

static int score_all(eval *e)
{
    int code = TOOL_GO;
    for (size_t i = 0; code == TOOL_GO && i < e->windows.n; i++) {
        if (!e->host.quiet) tool_bar("eval", e->windows.v[i].at, e->windows.n_ids);
        code = score_window(e, &e->windows.v[i]);
    }
    if (!e->host.quiet) tool_bar_clear();
    if (code == TOOL_GO && e->out.out.f && tool_logits_finish(&e->out) < 0) code = TOOL_FAILED;
    if (code == TOOL_GO && e->imatrix &&
        tool_imatrix_write(e->imatrix, e->host.model, e->nll.n) < 0)
        code = TOOL_FAILED;
    return code;
}

/* ---- the report ---- */

static const tool_column columns[] = {
    {"model_type", TOOL_CELL_TEXT},       {"n_ctx", TOOL_CELL_NUMBER},
    {"windows", TOOL_CELL_NUMBER},        {"tokens_scored", TOOL_CELL_NUMBER},
    {"mean_nll", TOOL_CELL_NUMBER},       {"perplexity", TOOL_CELL_NUMBER},
    {"bits_per_byte", TOOL_CELL_NUMBER},  {"seconds", TOOL_CELL_NUMBER},
    {"avg_ts", TOOL_CELL_NUMBER},         {"reference", TOOL_CELL_TEXT},
    {"ref_mean_nll", TOOL_CELL_NUMBER},   {"nll_diff", TOOL_CELL_NUMBER},
    {"nll_diff_error", TOOL_CELL_NUMBER}, {"kl_mean", TOOL_CELL_NUMBER},
    {"kl_mean_error", TOOL_CELL_NUMBER},  {"kl_median", TOOL_CELL_NUMBER},
    {"kl_99", TOOL_CELL_NUMBER},          {"kl_max", TOOL_CELL_NUMBER},
    {"top1_agreement", TOOL_CELL_NUMBER}};
enum { ALONE = 9, COLUMNS = sizeof columns / sizeof columns[0] };

static void add_score(tool_table *t, const eval *e, double seconds)
{
    const double mean = tool_series_mean(&e->nll);
    tool_table_add(t, "%s", e->host.info.family);
    tool_table_add(t, "%u", e->windows.longest);
    tool_table_add(t, "%zu", e->windows.n);
    tool_table_add(t, "%zu", e->nll.n);
    tool_table_add(t, "%.7f", mean);
    tool_table_add(t, "%.4f", exp(mean));
    /* only where every byte of the text was predicted */
    if (e->n_text_tokens > 0 && e->nll.n == e->n_text_tokens)
        tool_table_add(t, "%.4f", mean * (double)e->nll.n / log(2) / (double)e->len);
    else
        tool_table_add(t, e->format == TOOL_JSON ? "null" : "");
    tool_table_add(t, "%.2f", seconds);
    tool_table_add(t, "%.1f", (double)e->nll.n / seconds);
}

static void add_comparison(tool_table *t, eval *e)
{
    tool_table_add(t, "%s", e->ref_s ? e->ref_host.path : e->ref_logits);
    tool_table_add(t, "%.7f", tool_series_mean(&e->ref_nll));
    tool_table_add(t, "%.7f", tool_series_mean(&e->nll_diff));
    tool_table_add(t, "%.2e", tool_series_error(&e->nll_diff));
    tool_table_add(t, "%.4e", tool_series_mean(&e->kl));
    tool_table_add(t, "%.2e", tool_series_error(&e->kl));
    tool_series_sort(&e->kl);
    tool_table_add(t, "%.4e", tool_series_at(&e->kl, 0.5));
    tool_table_add(t, "%.4e", tool_series_at(&e->kl, 0.99));
    tool_table_add(t, "%.4e", tool_series_at(&e->kl, 1));
    tool_table_add(t, "%.6f", (double)e->agreed / (double)e->kl.n);
}

/* One row; people get the comparison as a table of its own, which fits a terminal. */
static int print_result(eval *e, double seconds)
{
    const int compared = e->kl.n > 0, split = compared && e->format == TOOL_MD;
    tool_table one = {.columns = columns, .n_columns = compared && !split ? COLUMNS : ALONE};
    tool_table two = {.columns = columns + ALONE, .n_columns = COLUMNS - ALONE};
    add_score(&one, e, seconds);
    if (compared) add_comparison(split ? &two : &one, e);
    int st = tool_table_print(&one, e->format);
    if (st == 0 && split) {
        tool_printf("\n");
        st = tool_table_print(&two, e->format);
    }
    tool_table_free(&one);
    tool_table_free(&two);
    return st < 0 ? TOOL_FAILED : TOOL_OK;
}

static int work(eval *e)
{
    int code = tool_open(&e->host, e->imatrix ? REMORA_MODEL_IMPORTANCE : 0);
    if (code == TOOL_GO) code = read_windows(e);
    if (code == TOOL_GO) code = open_reference(e);
    if (code == TOOL_GO) code = check_ids(e);
    if (code == TOOL_GO) code = make_session(e, &e->host, &e->s);
    if (code == TOOL_GO) code = create_output(e);
    const double start = tool_seconds();
    if (code == TOOL_GO) code = score_all(e);
    return code == TOOL_GO ? print_result(e, tool_seconds() - start) : code;
}

int tool_eval(int argc, char **argv)
{
    eval e = {.session = {.ctx = 512}, .piece = PIECE};
    int code = parse(&e, argc, argv);
    if (code == TOOL_GO) code = work(&e);
    remora_session_free(e.s);
    remora_session_free(e.ref_s);
    tool_close(&e.host);
    tool_close(&e.ref_host);
    tool_logits_close(&e.in);
    tool_logits_close(&e.out);
    tool_windows_free(&e.windows);
    tool_series_free(&e.nll);
    tool_series_free(&e.ref_nll);
    tool_series_free(&e.nll_diff);
    tool_series_free(&e.kl);
    free(e.row);
    free(e.text);
    return code;
}
