/* SPDX-License-Identifier: Apache-2.0 */
/* x-dump: what it writes is what was computed, on every backend and kernel set alike, and asking
 * for it changes no result. */
#define _POSIX_C_SOURCE 200809L
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "guard_backend.h"
#include "host.h"
#include "model.h"
#include "tiny.h"

enum { PROMPT = 40, MORE = 3, TOKENS = PROMPT + MORE, FIELDS = 9, PATH = 64 };

static const tiny_opts kinds[] = {
    {0}, {.v2 = 1}, {.dense = "llama"}, {.dense = "qwen2"}, {.dense = "qwen3"}};

typedef struct place {
    char dir[HOST_DIR], path[PATH];
} place;

static place new_place(void)
{
    place p;
    host_dir_make(p.dir);
    snprintf(p.path, sizeof p.path, "%s/dump.txt", p.dir);
    return p;
}

static void free_place(const place *p)
{
    unlink(p->path);
    assert_int_equal(rmdir(p->dir), 0);
}

static remora_status open_dumping(remora_runtime *rt, const tiny *t, const char *path,
                                  const char *only, uint32_t flags, remora_model **m,
                                  remora_error *err)
{
    const remora_option extra[] = {host_option("x-dump", path), host_option("x-dump-only", only)};
    const remora_model_opts o = {
        .struct_size = sizeof o, .flags = flags, .extra = extra, .n_extra = only != NULL ? 2 : 1};
    return remora_model_open(rt, &t->source, &o, m, err);
}

/* Logits of a prompt, in expanded form, and of a few tokens more, in absorbed form. */
static float *logits_of(remora_model *m)
{
    remora_error err = HOST_ERROR;
    const size_t width = host_vocab(m);
    remora_token ids[TOKENS];
    remora_session *s = host_session(m, 64, REMORA_KV_BF16);
    float *out = malloc(TOKENS * width * sizeof *out);
    assert_non_null(out);
    host_ids(ids, TOKENS, host_vocab(m), 1);
    REQUIRE_OK(remora_routing_enable(m, 1, NULL), NULL);
    REQUIRE_OK(remora_session_append(s, ids, PROMPT, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    float *rows = host_rows(s, PROMPT);
    memcpy(out, rows, PROMPT * width * sizeof *out);
    free(rows);
    REQUIRE_OK(remora_session_append(s, ids + PROMPT, MORE, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    rows = host_rows(s, MORE);
    memcpy(out + PROMPT * width, rows, MORE * width * sizeof *out);
    free(rows);
    remora_session_free(s);
    return out;
}

/* The dump of a new model on the runtime, as text, and its logits (out may be NULL). */
static char *dump_of(remora_runtime *rt, const tiny *t, const char *only, float **out)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const place p = new_place();
    size_t n = 0;
    REQUIRE_OK(open_dumping(rt, t, p.path, only, 0, &m, &err), &err);
    float *logits = logits_of(m);
    remora_model_free(m);
    char *text = (char *)host_file(p.path, &n);
    assert_non_null(text);
    assert_true(n > 0 && text[n - 1] == '\n' && strlen(text) == n);
    free_place(&p);
    if (out != NULL)
        *out = logits;
    else
        free(logits);
    return text;
}

typedef struct line {
    unsigned step, op, column, row, position;
    char part[8], layer[8], name[24], slot[12];
    const char *values;
} line;

/* The next line that is no comment; 0 at the end. */
static int next_line(char **at, line *l)
{
    int n = 0;
    while (**at == '#') *at = strchr(*at, '\n') + 1;
    if (**at == 0) return 0;
    char *const end = strchr(*at, '\n');
    assert_non_null(end);
    *end = 0;
    if (sscanf(*at, "%u %u %7s %7s %23s %11s %u %u %u%n", &l->step, &l->op, l->part, l->layer,
               l->name, l->slot, &l->column, &l->row, &l->position, &n) != FIELDS)
        fail_msg("a line is \"%.80s\"", *at);
    l->values = *at + n;
    *at = end + 1;
    return 1;
}

static size_t values_of(const line *l, float *out, size_t cap)
{
    size_t n = 0;
    char *end = NULL;
    for (const char *p = l->values; *p != 0; p = end) {
        assert_true(n < cap);
        out[n++] = strtof(p, &end);
        assert_ptr_not_equal(p, end);
    }
    return n;
}

/* The logits in a dump are those of the session, and every operation has its lines: it is named,
 * has the layer of its slice, and the rows of its form. */
static void check_dump(const remora_model *m, char *text, const float *logits)
{
    const rmr_programs *all = &m->programs;
    const size_t width = m->shape.n_vocab;
    float *values = malloc((width + 4096) * sizeof *values);
    unsigned *rows = calloc(all->n_ops, sizeof *rows), n_logits = 0;
    line l;
    assert_true(values != NULL && rows != NULL);
    while (next_line(&text, &l)) {
        assert_true(l.step < 2 && l.op < all->n_ops);
        const rmr_op *op = &all->ops[l.op];
        const rmr_program_slice *s = all->slices;
        while (l.op >= s->first + s->n) s++;
        assert_string_equal(l.name, rmr_op_infos[op->kind].name);
        if (s->kind == RMR_SLICE_LAYER) assert_int_equal(strtoul(l.layer, NULL, 10), s->layer);
        const size_t n = values_of(&l, values, width + 4096);
        assert_true(n > 0);
        rows[l.op]++;
        if (strcmp(l.slot, "counts") != 0 && strcmp(l.part, "head") != 0)
            assert_int_equal(l.position, l.step * PROMPT + l.row);
        if (strcmp(l.slot, "ids") == 0)
            for (size_t i = 0; i < n; i++)
                assert_true(values[i] == (float)(int)values[i] &&
                            values[i] < (float)m->shape.moe.n_experts);
        if (strcmp(l.slot, "logits") != 0) continue;
        assert_int_equal(n, width);
        assert_memory_equal(values, logits + l.position * width, width * sizeof *values);
        n_logits++;
    }
    assert_int_equal(n_logits, TOKENS);
    for (uint32_t i = 0; i < all->n_ops; i++) {
        const rmr_op *op = &all->ops[i];
        const unsigned forms = rmr_op_infos[op->kind].forms;
        const unsigned expect = forms == 1u << RMR_FORM_ABSORBED   ? MORE
                                : forms == 1u << RMR_FORM_EXPANDED ? PROMPT
                                                                   : TOKENS;
        if (op->kind == RMR_OP_COUNTS_CLEAR || op->kind == RMR_OP_COUNTS_ADD) continue;
        assert_true(rows[i] >= expect); /* more where it writes several views */
        assert_int_equal(rows[i] % expect, op->kind == RMR_OP_GATE ? 2 : 0); /* a row of counts */
    }
    free(values);
    free(rows);
}

static void it_shows_what_was_computed(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        tiny t;
        float *logits;
        tiny_make(&t, &kinds[k]);
        remora_model *m = host_open(NULL, &t.source);
        float *expect = logits_of(m);
        char *text = dump_of(NULL, &t, NULL, &logits);
        assert_memory_equal(logits, expect, TOKENS * host_vocab(m) * sizeof *logits);
        check_dump(m, text, logits);
        free(text);
        free(logits);
        free(expect);
        remora_model_free(m);
        tiny_free(&t);
    }
}

/* Another thread count, the plain kernels, and a device whose work is done in step_wait. */
static void it_is_the_same_everywhere(void **state)
{
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 1};
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        tiny t;
        remora_runtime *rt[3] = {host_runtime(NULL, 3, NULL), host_runtime(NULL, 1, "ref"), NULL};
        assert_int_equal(guard_runtime_create(&o, &rt[2], NULL), REMORA_OK);
        tiny_make(&t, &kinds[k]);
        char *expect = dump_of(NULL, &t, NULL, NULL);
        for (int i = 0; i < 3; i++) {
            char *got = dump_of(rt[i], &t, NULL, NULL);
            assert_string_equal(got, expect);
            free(got);
        }
        GUARD_IS_CLEAN(rt[2]);
        for (int i = 0; i < 3; i++) remora_runtime_free(rt[i]);
        free(expect);
        tiny_free(&t);
    }
}

/* Lines of a dump of those operations alone, and in `first` the first one. */
static unsigned lines(const tiny *t, const char *only, line *first)
{
    char *text = dump_of(NULL, t, only, NULL), *at = text;
    unsigned n = 0;
    line l;
    while (next_line(&at, &l))
        if (n++ == 0) *first = l;
    first->values = NULL; /* of the text */
    free(text);
    return n;
}

static void only_some_operations(void **state)
{
    tiny t;
    line l;
    (void)state;
    tiny_make(&t, NULL);
    assert_int_equal(lines(&t, "layer 1 op gate slot ids", &l), TOKENS);
    assert_string_equal(l.layer, "1");
    assert_int_equal(lines(&t, "op gate slot ids", &l), 2 * TOKENS); /* layers 1 and 2 */
    assert_int_equal(lines(&t, "step 1 op gate slot ids", &l), 2 * MORE);
    assert_int_equal(l.step, 1);
    assert_int_equal(lines(&t, " slot  logits position 17", &l), 1);
    assert_true(l.position == 17 && l.row == 17);
    assert_int_equal(lines(&t, "layer 2 op attend-latent", &l), MORE);
    assert_string_equal(l.slot, "z");
    /* that slot, though the operation does not write it */
    assert_int_equal(lines(&t, "layer 2 op gate slot x", &l), TOKENS);
    assert_string_equal(l.slot, "x");
    assert_int_equal(lines(&t, "layer 7", &l), 0);
    tiny_free(&t);
}

static void refused(remora_status want, const char *key, const char *value, const char *says)
{
    tiny t;
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const remora_option extra = host_option(key, value);
    const remora_model_opts o = {.struct_size = sizeof o, .extra = &extra, .n_extra = 1};
    tiny_make(&t, NULL);
    assert_int_equal(remora_model_open(NULL, &t.source, &o, &m, &err), want);
    assert_null(m);
    if (strstr(err.message, says) == NULL) fail_msg("%s: no \"%s\"", err.message, says);
    tiny_free(&t);
}

static void wrong_options(void **state)
{
    (void)state;
    refused(REMORA_E_UNSUPPORTED, "x-dumb", "y", "models have x-dump");
    refused(REMORA_E_ARG, "x-dump", NULL, "empty");
    refused(REMORA_E_UNSUPPORTED, NULL, "y", "models have x-dump");
    refused(REMORA_E_ARG, "x-dump-only", "layer", "layer");
    refused(REMORA_E_ARG, "x-dump-only", "layer one", "\"one\"");
    refused(REMORA_E_ARG, "x-dump-only", "layer 99999999999999999999", "9999");
    refused(REMORA_E_ARG, "x-dump-only", "layer 18446744073709551617", "1844");
    refused(REMORA_E_ARG, "x-dump-only", "op nothing", "\"nothing\"");
    refused(REMORA_E_ARG, "x-dump-only", "slot y", "\"y\"");
    refused(REMORA_E_ARG, "x-dump-only", "row 1", "row");
    refused(REMORA_E_ARG, "x-dump-only", "attend-latent-of-another-world 1", "long");
    refused(REMORA_E_NOT_FOUND, "x-dump", "/nowhere/at/all", "/nowhere/at/all");
}

/* A model that computes nothing makes no file, and an estimate neither. */
static void without_weights(void **state)
{
    tiny t;
    const place p = new_place();
    const remora_option extra = host_option("x-dump", p.path);
    const remora_model_opts o = {.struct_size = sizeof o, .extra = &extra, .n_extra = 1};
    remora_memory need = {.struct_size = sizeof need};
    remora_model *m = NULL;
    (void)state;
    tiny_make(&t, NULL);
    REQUIRE_OK(open_dumping(NULL, &t, p.path, NULL, REMORA_MODEL_NO_WEIGHTS, &m, NULL), NULL);
    remora_model_free(m);
    REQUIRE_OK(remora_model_estimate(NULL, &t.source, &o, NULL, 1, &need, NULL), NULL);
    assert_int_equal(access(p.path, F_OK), -1);
    free_place(&p);
    tiny_free(&t);
}

/* A file that may not grow ends the evaluation with a status, and nothing else. */
static void full_file(void **state)
{
    tiny t;
    struct rlimit old, low;
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const place p = new_place();
    (void)state;
    tiny_make(&t, NULL);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 10000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    REQUIRE_OK(open_dumping(NULL, &t, p.path, NULL, 0, &m, &err), &err);
    remora_session *s = host_session(m, 64, REMORA_KV_BF16);
    const remora_token id = 1;
    REQUIRE_OK(remora_session_append(s, &id, 1, REMORA_WANT_LAST, NULL), NULL);
    assert_int_equal(remora_eval(&s, 1, NULL, &err), REMORA_E_IO);
    if (strstr(err.message, p.path) == NULL) fail_msg("%s", err.message);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    remora_session_free(s);
    remora_model_free(m);
    free_place(&p);
    tiny_free(&t);
}

typedef struct opened {
    const tiny *t;
    const char *path;
} opened;

static int32_t open_once(void *arg, tmem *mem)
{
    const opened *o = arg;
    const remora_runtime_opts ro = host_runtime_opts(mem, 1);
    remora_runtime *rt = NULL;
    remora_model *m = NULL;
    remora_status st = remora_runtime_create(&ro, &rt, NULL);
    if (st >= 0) st = open_dumping(rt, o->t, o->path, "op norm", 0, &m, NULL);
    remora_model_free(m);
    remora_runtime_free(rt);
    return st;
}

static void failing_memory(void **state)
{
    tiny t;
    tmem mem = {0};
    const place p = new_place();
    (void)state;
    tiny_make(&t, NULL);
    opened o = {&t, p.path};
    assert_true(tmem_sweep(&mem, open_once, &o) > 10);
    free_place(&p);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_shows_what_was_computed),
                                       cmocka_unit_test(it_is_the_same_everywhere),
                                       cmocka_unit_test(only_some_operations),
                                       cmocka_unit_test(wrong_options),
                                       cmocka_unit_test(without_weights),
                                       cmocka_unit_test(full_file),
                                       cmocka_unit_test(failing_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
