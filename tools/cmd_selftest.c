/* SPDX-License-Identifier: Apache-2.0 */
/* remora selftest: does the library compute here what it should? Random models of every element
 * type run with plain C, one thread, and with all else that there is: each kernel set has to have
 * the same bits, each GPU to be close. A greedy text is the one that is stored here. */
#include "commands.h"
#include "host.h"
#include "output.h"
#include "random_model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROMPT = 33,
    LARGE_PROMPT = 70,
    MAX_TOKENS = LARGE_PROMPT + 15,
    MAX_RUNNERS = 64,
    GREEDY = 16,
    GREEDY_SEED = 4
};

/* As recipes name them. Models of odd widths come first, whose weights are what they are. */
static const char *const elements[] = {
    "keep", "keep", "keep", "bf16", "bf16", "f16",  "f32",  "fp8", "Q8_0",   "Q6_K",   "Q5_K",
    "Q4_K", "Q3_K", "Q2_K", "Q5_1", "Q5_0", "Q4_1", "Q4_0", "I4",  "IQ4_NL", "IQ4_XS", "MXFP4"};
enum {
    MODELS = sizeof elements / sizeof elements[0],
    ODD = 3,
    LARGE = 3,
    N_LARGE = 2,
    LAST_FLOAT = 7
};

/* The tokens of a session, and how many are evaluated at once: both forms of attention, and
 * products of one, some and many rows. */
static const struct group {
    const char *name;
    uint32_t rows, at_once;
} groups[] = {{"a prompt", PROMPT, PROMPT}, {"single tokens", 5, 1}, {"a short run", 10, 10}};

enum { N_GROUPS = sizeof groups / sizeof groups[0] };

/* Distances that GPUs may have: with all bits of activations and weights that are floats, where a
 * number of a BF16 cache can still be rounded the other way; otherwise. */
static const double EXACT_LIMIT = 1e-3, LIMIT = 5e-2;

/* A token of the random model after another; the same on every machine. */
static const remora_token greedy[GREEDY] = {32, 73, 58, 17, 50, 17, 87, 35,
                                            64, 4,  9,  57, 76, 13, 53, 5};

/* What is compared with plain C: a kernel set, or a GPU in one of its modes. */
typedef struct runner {
    tool_host host;
    char id[32];
    int is_first;   /* plain C with one thread */
    int is_thrifty; /* plain C with all threads, which takes long: without most types */
    int is_gpu, exact;
    uint32_t models;              /* that it has run */
    double worst, worst_of_codes; /* distances of a GPU: weights that are floats, and others */
    char failure[400];
} runner;

typedef struct selftest {
    tool_host host; /* of the options */
    uint64_t seed;
    uint32_t models; /* how many */
    int format;
    runner *runners;
    size_t n;
    tool_table table;
    char folder[300], pack[320];
    int bad_estimates;
    double estimate_off; /* of what was used, at most */
    int failed;
} selftest;

/* ---- one model on one runner ---- */

static int is_large(size_t number)
{
    return number >= LARGE && number < LARGE + N_LARGE;
}

static struct group group_of(size_t number, size_t i)
{
    struct group g = groups[i];
    if (i == 0 && is_large(number)) g.rows = g.at_once = LARGE_PROMPT;
    return g;
}

static uint32_t tokens_of(size_t number)
{
    uint32_t n = 0;
    for (size_t i = 0; i < N_GROUPS; i++) n += group_of(number, i).rows;
    return n;
}

static int family_of(size_t number)
{
    return is_large(number) ? TOOL_LATENT_LARGE : (int)(number % TOOL_FAMILIES);
}

/* Every type with every family, but for 8 bits, which grouped attention has not. */
static int32_t cache_of(size_t number)
{
    static const int32_t caches[] = {REMORA_KV_BF16, REMORA_KV_INT8, REMORA_KV_F32};
    const int32_t cache = caches[is_large(number) ? number - LARGE : (number + number / 3) % 3];
    return family_of(number) == TOOL_GROUPED && cache == REMORA_KV_INT8 ? REMORA_KV_BF16 : cache;
}

typedef struct logits {
    float *at; /* [tokens][n_vocab] */
    size_t n_vocab;
} logits;

static remora_status evaluate(remora_session *s, uint32_t n_vocab, size_t number, uint64_t seed,
                              float *out, remora_error *err)
{
    remora_token t[MAX_TOKENS];
    for (size_t i = 0; i < N_GROUPS; i++) {
        const struct group g = group_of(number, i);
        for (uint32_t done = 0; done < g.rows; done += g.at_once) {
            const uint32_t n = g.at_once;
            for (uint32_t k = 0; k < n; k++) t[k] = (remora_token)tool_random(&seed, n_vocab);
            remora_status st = remora_session_append(s, t, n, REMORA_WANT_ALL, err);
            if (st >= 0) st = remora_eval(&s, 1, NULL, err);
            for (uint32_t k = 0; k < n && st >= 0; k++, out += n_vocab) {
                const float *row;
                st = remora_session_logits(s, k, &row, NULL, err);
                if (st >= 0) memcpy(out, row, n_vocab * sizeof *row);
            }
            if (st < 0) return st;
        }
    }
    return REMORA_OK;
}

static uint64_t host_bytes(const remora_memory *m)
{
    return m->host_weights + m->host_kv + m->host_scratch + m->host_other;
}

/* The estimate of a full session with one output row is at least what that takes, and at most 3 %
 * more. */
static void check_memory(selftest *t, runner *r, const remora_source *src,
                         const remora_session_opts *so, remora_model *m)
{
    static const remora_token zeros[MAX_TOKENS];
    remora_memory now = {.struct_size = sizeof now}, said = {.struct_size = sizeof said};
    remora_session *s;
    remora_status st = remora_model_estimate(r->host.rt, src, NULL, so, 1, &said, NULL);
    if (st >= 0) st = remora_session_create(m, so, &s, NULL);
    t->bad_estimates += st < 0;
    if (st < 0) return;
    st = remora_session_append(s, zeros, so->capacity, REMORA_WANT_LAST, NULL);
    if (st >= 0) st = remora_eval(&s, 1, NULL, NULL);
    if (st >= 0) st = remora_model_get_memory(m, &now, NULL);
    remora_session_free(s);
    t->bad_estimates += st < 0;
    if (st < 0) return;
    const double off = (double)host_bytes(&said) / (double)host_bytes(&now) - 1;
    if (off > t->estimate_off) t->estimate_off = off;
    t->bad_estimates += off < 0 || off > 0.03;
}

static remora_status run_model(selftest *t, runner *r, const remora_source *src, size_t number,
                               logits *out, remora_error *err)
{
    const remora_model_opts mo = {.struct_size = sizeof mo, .device = r->host.device};
    remora_model_info info = {.struct_size = sizeof info};
    remora_model *m = NULL;
    remora_session *s = NULL;
    remora_status st = remora_model_open(r->host.rt, src, &mo, &m, err);
    if (st < 0) return st;
    remora_model_get_info(m, &info, NULL);
    const remora_session_opts so = {
        .struct_size = sizeof so, .capacity = tokens_of(number), .kv_type = cache_of(number)};
    out->n_vocab = info.n_vocab;
    out->at = malloc((size_t)so.capacity * info.n_vocab * sizeof *out->at);
    if (!out->at) st = REMORA_E_NOMEM;
    if (st >= 0) st = remora_session_create(m, &so, &s, err);
    if (st >= 0) st = evaluate(s, info.n_vocab, number, t->seed + number, out->at, err);
    remora_session_free(s);
    if (st >= 0 && r->is_first && number < ODD) check_memory(t, r, src, &so, m);
    remora_model_free(m);
    return st;
}

/* ---- comparing ---- */

static double distance(const float *a, const float *b, size_t n)
{
    double off = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        off += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        all += (double)b[i] * b[i];
    }
    const double d = sqrt(off / all);
    return isfinite(d) ? d : INFINITY;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The row in the middle: rounding may send a token to another expert, and its row far away. */
static double median(const float *a, const float *b, size_t rows, size_t n_vocab)
{
    double d[MAX_TOKENS];
    for (size_t i = 0; i < rows; i++) d[i] = distance(a + i * n_vocab, b + i * n_vocab, n_vocab);
    qsort(d, rows, sizeof *d, by_size);
    return d[rows / 2];
}

/* Products of codes round activations to 8 bits, which tiny differences decide; so does attention
 * over a cache of codes. */
static int takes_floats(size_t number)
{
    return number <= LAST_FLOAT && cache_of(number) != REMORA_KV_INT8;
}

static void compare_bits(runner *r, const float *a, const float *b, size_t n_vocab, size_t number)
{
    for (size_t row = 0; row < tokens_of(number); row++, a += n_vocab, b += n_vocab)
        if (memcmp(a, b, n_vocab * sizeof *a) != 0) {
            snprintf(r->failure, sizeof r->failure,
                     "weights %s: row %zu of the logits is %.2g from that of plain C",
                     elements[number], row, distance(a, b, n_vocab));
            return;
        }
}

static void compare_near(runner *r, const float *a, const float *b, size_t n_vocab, size_t number)
{
    const double limit = r->exact && takes_floats(number) ? EXACT_LIMIT : LIMIT;
    double *const worst = takes_floats(number) ? &r->worst : &r->worst_of_codes;
    for (size_t i = 0; i < N_GROUPS; i++) {
        const uint32_t rows = group_of(number, i).rows;
        const double d = median(a, b, rows, n_vocab);
        if (d > *worst) *worst = d;
        if (d > limit && !r->failure[0])
            snprintf(r->failure, sizeof r->failure,
                     "weights %s: logits of %s are %.2g from those of plain C; %g are allowed",
                     elements[number], groups[i].name, d, limit);
        a += rows * n_vocab;
        b += rows * n_vocab;
    }
}

static void compare(runner *r, const logits *got, const logits *want, size_t number)
{
    (r->is_gpu ? compare_near : compare_bits)(r, got->at, want->at, want->n_vocab, number);
}

static void run_on(selftest *t, runner *r, const remora_source *src, size_t number, logits *want)
{
    remora_error err = {.struct_size = sizeof err};
    logits got = {0};
    if (r->failure[0] || (r->is_thrifty && number >= LARGE + N_LARGE)) return;
    const remora_status st = run_model(t, r, src, number, r->is_first ? want : &got, &err);
    r->models += st >= 0;
    if (st < 0)
        snprintf(r->failure, sizeof r->failure, "weights %s: %s: %s", elements[number],
                 remora_status_name(st), err.message);
    else if (!r->is_first && want->at)
        compare(r, &got, want, number);
    free(got.at);
}

static int convert(selftest *t, const tool_random_model *m, const char *element)
{
    char recipe[80];
    remora_error err = {.struct_size = sizeof err};
    const remora_convert_opts opts = {.struct_size = sizeof opts,
                                      .flags = REMORA_CONVERT_NO_SELF_TEST,
                                      .recipe = recipe,
                                      .cancel = tool_cancel()};
    snprintf(recipe, sizeof recipe, "rules:\n- {match: '*', type: %s}\n", element);
    const remora_status st =
        remora_convert(t->runners[0].host.rt, &m->source, t->pack, &opts, &err);
    return st < 0 ? tool_fail(st, t->pack, &err) : TOOL_GO;
}

static int run_number(selftest *t, size_t number)
{
    tool_random_model m;
    logits want = {0};
    const int wide = number >= ODD;
    if (tool_random_model_make(&m, family_of(number), wide, t->seed + number) < 0)
        return tool_fail(REMORA_E_NOMEM, "selftest", NULL);
    const remora_source pack = {
        .struct_size = sizeof pack, .kind = REMORA_SOURCE_PATH, .path = t->pack};
    int code = wide ? convert(t, &m, elements[number]) : TOOL_GO;
    for (size_t i = 0; code == TOOL_GO && i < t->n; i++) {
        if (tool_cancelled()) code = tool_fail(REMORA_E_CANCELLED, "selftest", NULL);
        run_on(t, &t->runners[i], wide ? &pack : &m.source, number, &want);
    }
    if (wide) tool_unlink(t->pack);
    free(want.at);
    tool_random_model_free(&m);
    if (!t->host.quiet) tool_bar("testing", number + 1, t->models);
    return code;
}

/* ---- the stored text ---- */

static remora_status pick(runner *r, const remora_source *src, remora_token *out, remora_error *err)
{
    const remora_model_opts mo = {.struct_size = sizeof mo, .device = r->host.device};
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = GREEDY + 4};
    const remora_stage stage = {.struct_size = sizeof stage, .kind = REMORA_STAGE_TEMPERATURE};
    const remora_token prompt[] = {2, 3, 5};
    remora_model *m = NULL;
    remora_session *s = NULL;
    remora_sampler *p = NULL;
    remora_status st = remora_model_open(r->host.rt, src, &mo, &m, err);
    if (st >= 0) st = remora_session_create(m, &so, &s, err);
    if (st >= 0) st = remora_sampler_create(m, 1, &p, err);
    if (st >= 0) st = remora_sampler_add(p, &stage, err);
    if (st >= 0) st = remora_session_append(s, prompt, 3, REMORA_WANT_LAST, err);
    size_t n = 0;
    if (st >= 0) st = remora_generate(s, p, NULL, out, GREEDY, &n, err);
    remora_sampler_free(p);
    remora_session_free(s);
    remora_model_free(m);
    return st < 0 ? st : n == GREEDY ? REMORA_OK : REMORA_E_MISMATCH;
}

static void print_tokens(char *to, size_t cap, const remora_token *t)
{
    size_t n = 0;
    for (size_t i = 0; i < GREEDY && n < cap; i++)
        n += (size_t)snprintf(to + n, cap - n, "%s%d", i ? " " : "", t[i]);
}

/* GPUs have other bits, but the text is theirs too when all bits of activations are used. */
static void check_tokens(runner *r, const remora_source *src)
{
    remora_error err = {.struct_size = sizeof err};
    remora_token got[GREEDY] = {0};
    char text[200];
    if (r->failure[0] || (r->is_gpu && !r->exact)) return;
    const remora_status st = pick(r, src, got, &err);
    print_tokens(text, sizeof text, got);
    if (st < 0)
        snprintf(r->failure, sizeof r->failure, "tokens: %s: %.300s", remora_status_name(st),
                 err.message);
    else if (memcmp(got, greedy, sizeof got) != 0)
        snprintf(r->failure, sizeof r->failure, "tokens %s are not the stored ones", text);
}

static int check_all_tokens(selftest *t)
{
    tool_random_model m;
    if (tool_random_model_make(&m, TOOL_LATENT_V3, 0, GREEDY_SEED) < 0)
        return tool_fail(REMORA_E_NOMEM, "selftest", NULL);
    for (size_t i = 0; i < t->n; i++) check_tokens(&t->runners[i], &m.source);
    tool_random_model_free(&m);
    return TOOL_GO;
}

/* ---- who runs ---- */

static runner *add_runner(selftest *t, const char *isa, uint32_t threads)
{
    runner *r = &t->runners[t->n++];
    r->host = (tool_host){.isa = isa,
                          .threads = threads,
                          .quiet = 1,
                          .log_level = REMORA_LOG_ERROR + (t->host.verbose ? 3 : 0)};
    snprintf(r->id, sizeof r->id, "%s", isa ? isa : "cpu");
    return r;
}

/* The kernel sets of this machine, or the one that was asked for. */
static int add_sets(selftest *t)
{
    static const char *const sets[] = {"ref", "avx2", "avxvnni",      "avx512",   "avx512vnni",
                                       "amx", "neon", "neon_dotprod", "neon_i8mm"};
    int code;
    add_runner(t, sets[0], 1)->is_first = 1;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (t->host.isa && strcmp(t->host.isa, sets[i]) != 0) continue;
        const remora_option x = {tool_text("x-isa"), tool_text(sets[i])};
        const remora_runtime_opts o = {
            .struct_size = sizeof o, .n_threads = 1, .extra = &x, .n_extra = 1};
        remora_runtime *rt;
        const remora_status st = remora_runtime_create(&o, &rt, NULL);
        if (st >= 0) remora_runtime_free(rt);
        if (st >= 0 || t->host.isa)
            add_runner(t, sets[i], t->host.threads)->is_thrifty = i == 0 && !t->host.isa;
    }
    if (t->host.isa && t->n == 1) add_runner(t, t->host.isa, t->host.threads); /* says why not */
    for (size_t i = 0; i < t->n; i++)
        if ((code = tool_runtime(&t->runners[i].host)) != TOOL_GO) return code;
    return TOOL_GO;
}

/* A GPU twice: with all bits of activations, and as models run on it. */
static int add_gpu(selftest *t, const char *id)
{
    static char exact[] = "x-cuda=exact";
    for (int way = 0; way < 2; way++) {
        runner *r = add_runner(t, "ref", t->host.threads);
        snprintf(r->id, sizeof r->id, "%s", id);
        r->host.device = r->id;
        r->is_gpu = 1;
        r->exact = way == 0;
        if (r->exact) r->host.extra = (tool_texts){.v = {exact}, .n = 1};
        const int code = tool_runtime(&r->host);
        if (code != TOOL_GO) return code;
    }
    return TOOL_GO;
}

static int wants(const selftest *t, const remora_device *d)
{
    const char *const id = t->host.device;
    const size_t n = id ? strlen(id) : 0;
    if (d->kind == REMORA_DEVICE_CPU) return 0;
    if (!id || strcmp(id, "auto") == 0) return d->usable >= 0;
    return strncmp(d->id, id, n) == 0 && (d->id[n] == 0 || d->id[n] == ':');
}

/* All that can be used, or those that were asked for: then it is an error when there is none. */
static int add_gpus(selftest *t)
{
    const char *const id = t->host.device;
    const size_t before = t->n;
    if (id && strcmp(id, "cpu") == 0) return TOOL_GO;
    const uint32_t n = remora_device_count(t->host.rt);
    for (uint32_t i = 0; i < n && t->n + 2 <= MAX_RUNNERS; i++) {
        remora_device d = {.struct_size = sizeof d};
        remora_device_get(t->host.rt, i, &d, NULL);
        if (!wants(t, &d)) continue;
        const int code = add_gpu(t, d.id);
        if (code != TOOL_GO) return code;
    }
    if (t->n == before && id && strcmp(id, "auto") != 0)
        return tool_fail(REMORA_E_NOT_FOUND, id, NULL);
    return TOOL_GO;
}

/* ---- the report ---- */

__attribute__((format(printf, 4, 5))) static void add_row(selftest *t, const char *what, int failed,
                                                          const char *format, ...)
{
    char text[500];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tool_table_add(&t->table, "%s", what);
    tool_table_add(&t->table, "%s", failed ? "FAILED" : "ok");
    tool_table_add(&t->table, "%s", text);
    t->failed |= failed;
}

static void report_machine(selftest *t)
{
    remora_runtime_info i = {.struct_size = sizeof i};
    remora_device d = {.struct_size = sizeof d};
    remora_runtime_get_info(t->host.rt, &i, NULL);
    remora_device_get(t->host.rt, 0, &d, NULL);
    add_row(t, "threads", i.n_threads == 0, "%u, kernel set %s: %s", i.n_threads, i.kernels, i.why);
    add_row(t, "memory", t->bad_estimates > 0,
            "%.1f GiB, %.1f free; estimates at most %.1f %% above what models took",
            (double)d.mem_total / (1 << 30), (double)d.mem_free / (1 << 30), t->estimate_off * 100);
}

static void report_runner(selftest *t, const runner *r)
{
    char what[64];
    snprintf(what, sizeof what, "%s%s", r->is_first ? "plain C" : r->id, r->exact ? " exact" : "");
    if (r->failure[0])
        add_row(t, what, 1, "%s", r->failure);
    else if (r->is_gpu)
        add_row(t, what, 0, "%u models: logits at most %.1g from those of plain C, %.1g with codes",
                r->models, r->worst, r->worst_of_codes);
    else if (!r->is_first)
        add_row(t, what, 0, "%u models: the bits of plain C with one thread", r->models);
    else
        add_row(t, what, 0, "the stored tokens");
}

static int work(selftest *t)
{
    const double start = tool_seconds();
    int code = tool_runtime(&t->host);
    if (code == TOOL_GO) code = add_sets(t);
    if (code == TOOL_GO) code = add_gpus(t);
    for (size_t i = 0; code == TOOL_GO && i < t->models; i++) code = run_number(t, i);
    if (code == TOOL_GO) code = check_all_tokens(t);
    if (!t->host.quiet) tool_bar_clear();
    if (code != TOOL_GO) return code;
    report_machine(t);
    for (size_t i = 0; i < t->n; i++) report_runner(t, &t->runners[i]);
    if (tool_table_print(&t->table, t->format) < 0) return TOOL_FAILED;
    if (!t->host.quiet)
        fprintf(stderr, "%s after %.1f s\n", t->failed ? "FAILED" : "all is well",
                tool_seconds() - start);
    return t->failed ? TOOL_FAILED : TOOL_OK;
}

static int parse(selftest *t, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_DEVICE_OPTION(t->host),
        TOOL_THREADS_OPTION(t->host),
        TOOL_ISA_OPTION(t->host),
        {'n', "models", TOOL_U32, &t->models, "N", "only the first N of the models", 1, MODELS},
        {'s', "seed", TOOL_U64, &t->seed, "N", "of shapes and weights (default 1)", 0, 0},
        {'o', "output", TOOL_CHOICE, &t->format, TOOL_FORMATS, "(default md)", 0, 0},
        {'q', "quiet", TOOL_FLAG, &t->host.quiet, NULL, "only errors on stderr", 0, 0},
        {'v', "verbose", TOOL_FLAG, &t->host.verbose, NULL, "the library's log on stderr", 0, 0},
    };
    const tool_spec spec = {
        .usage = "remora selftest [options]",
        .about =
            "Does the library compute here what it should? Small random models with weights of\n"
            "every type run in plain C and with each kernel set of the machine, which have to\n"
            "give the same bits, and on each GPU, which has to be close. Takes some seconds,\n"
            "needs no model, and writes its files to $TMPDIR or /tmp.",
        .options = options,
        .n_options = sizeof options / sizeof options[0]};
    return tool_parse(&spec, argc, argv);
}

int tool_selftest(int argc, char **argv)
{
    static const tool_column columns[] = {
        {"what", TOOL_CELL_TEXT}, {"result", TOOL_CELL_TEXT}, {"", TOOL_CELL_TEXT}};
    selftest t = {.seed = 1, .models = MODELS, .table = {.columns = columns, .n_columns = 3}};
    int code = parse(&t, argc, argv);
    if (code != TOOL_GO) return code;
    if (tool_make_folder(t.folder, sizeof t.folder) < 0)
        return tool_fail(REMORA_E_IO, t.folder, NULL);
    snprintf(t.pack, sizeof t.pack, "%s/m.remora", t.folder);
    t.runners = calloc(MAX_RUNNERS, sizeof *t.runners);
    code = t.runners ? work(&t) : tool_fail(REMORA_E_NOMEM, "selftest", NULL);
    tool_remove_folder(t.folder);
    for (size_t i = 0; i < t.n; i++) tool_close(&t.runners[i].host);
    free(t.runners);
    tool_close(&t.host);
    tool_table_free(&t.table);
    return code;
}
