/* SPDX-License-Identifier: Apache-2.0 */
/* A released model against transformers, as test/real/run.sh runs it:
 *
 *     check GOLDENS FILE DECODED NEAR_TIE
 *
 * FILE is the GGUF file, DECODED the same with every weight in F32, GOLDENS the folder with
 * golden.safetensors and golden.json. For each text the token ids are the reference's. With DECODED
 * and an f32 cache so are the logits after it, the likelihoods of its tokens and the greedy
 * continuation. FILE, whose products have 8-bit activations, is near DECODED at every position (KL
 * divergence), and continues alike up to the first token whose margin is below NEAR_TIE. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "goldens.h"
#include "host.h"

/* float32 in another order of additions, over 24 to 30 layers: of logits 3e-6 of the row's norm was
 * measured, of likelihoods 5e-5, relative to those above 1. */
#define EXACT 1e-4
#define EXACT_NLL 5e-4
/* 8-bit activations: 1e-3 and 3e-3 were measured, with Q8_0 weights in place of Q4_1 too; one
 * nibble in sixteen at a wrong place gives 0.2. */
#define MAX_KL 0.01

enum { ROOM = 256, GREEDY = 48 };

typedef struct text {
    const char *name;
    remora_token ids[ROOM];
    size_t n;
    const remora_token *greedy; /* of the reference */
    float *rows;                /* DECODED's logits, n of them */
    double margin[GREEDY];      /* DECODED's, before each token of the continuation */
} text;

typedef struct result {
    double distance, nll, kl;
    int agreed, judged;
} result;

static goldens G;
static double near_tie;

static const float *golden_f32(const char *what, const char *name, size_t n)
{
    char key[64];
    size_t have = 0;
    snprintf(key, sizeof key, "%s_%s", what, name);
    const float *p = goldens_f32(&G, key, &have);
    REQUIRE(p != NULL && have == n);
    return p;
}

static const remora_token *golden_ids(const char *what, const char *name, size_t *n)
{
    char key[64];
    snprintf(key, sizeof key, "%s_%s", what, name);
    const remora_token *p = goldens_i32(&G, key, n);
    REQUIRE(p != NULL);
    return p;
}

/* log sum exp of a row. */
static double log_sum(const float *row, size_t width)
{
    double max = row[0], sum = 0;
    for (size_t i = 1; i < width; i++) max = row[i] > max ? row[i] : max;
    for (size_t i = 0; i < width; i++) sum += exp(row[i] - max);
    return max + log(sum);
}

static double distance(const float *a, const float *b, size_t n)
{
    double diff = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm += (double)b[i] * b[i];
    }
    return sqrt(diff / norm);
}

static double divergence(const float *p, const float *q, size_t width)
{
    const double lp = log_sum(p, width), lq = log_sum(q, width);
    double kl = 0;
    for (size_t i = 0; i < width; i++) kl += exp(p[i] - lp) * ((p[i] - lp) - (q[i] - lq));
    return kl;
}

static size_t best(const float *row, size_t width, double *margin)
{
    size_t top = 0;
    for (size_t i = 1; i < width; i++) top = row[i] > row[top] ? i : top;
    *margin = INFINITY;
    for (size_t i = 0; i < width; i++)
        if (i != top && row[top] - row[i] < *margin) *margin = row[top] - row[i];
    return top;
}

static const float *row_at(remora_session *s, size_t row, size_t width)
{
    const float *logits = NULL;
    size_t n = 0;
    REQUIRE(remora_session_logits(s, (uint32_t)row, &logits, &n, NULL) == REMORA_OK && n == width);
    return logits;
}

/* The text's ids as the model makes them, markup included. */
static int same_ids(const remora_model *m, text *t)
{
    const json_t *all = json_object_get(json_object_get(G.json, "texts"), t->name);
    const char *words = json_string_value(json_object_get(all, "text"));
    remora_token got[ROOM];
    size_t n = 0, want;
    const remora_token *ids = golden_ids("ids", t->name, &want);
    REQUIRE(words != NULL && want <= ROOM);
    memcpy(t->ids, ids, want * sizeof *ids);
    t->n = want;
    const remora_status st =
        remora_tokenize(m, words, strlen(words), REMORA_TEXT_SPECIAL, got, ROOM, &n, NULL);
    return st == REMORA_OK && n == want && memcmp(got, ids, n * sizeof *ids) == 0;
}

/* The continuation, as long as it is the reference's; `exact` notes the margins, and otherwise it
 * ends at the first one that is too small to be judged. */
static void continue_text(remora_session *s, text *t, size_t width, int exact, result *r)
{
    for (int i = 0; i < GREEDY; i++) {
        double margin;
        remora_error err = HOST_ERROR;
        if (!exact && t->margin[i] < near_tie) return;
        const float *row = row_at(s, 0, width);
        const remora_token got = (remora_token)best(row, width, &margin);
        if (exact) t->margin[i] = margin;
        r->judged++;
        if (got != t->greedy[i]) return;
        r->agreed++;
        REQUIRE_OK(remora_session_append(s, &got, 1, REMORA_WANT_LAST, NULL), NULL);
        REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    }
}

static result run(remora_model *m, text *t, size_t width, int exact)
{
    result r = {0};
    remora_error err = HOST_ERROR;
    const float *nll = golden_f32("nll", t->name, t->n - 1);
    remora_session *s = host_session(m, ROOM, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(s, t->ids, t->n, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    for (size_t i = 0; i < t->n; i++) {
        const float *row = row_at(s, i, width);
        if (i + 1 < t->n) {
            const double d = log_sum(row, width) - row[t->ids[i + 1]] - nll[i];
            r.nll = exact ? fmax(r.nll, fabs(d) / fmax(1, nll[i])) : r.nll + d / (double)(t->n - 1);
        }
        if (!exact) r.kl += divergence(t->rows + i * width, row, width) / (double)t->n;
        if (exact) memcpy(t->rows + i * width, row, width * sizeof *row);
    }
    remora_session_free(s);
    s = host_session(m, ROOM, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(s, t->ids, t->n, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    r.distance = distance(row_at(s, 0, width), golden_f32("logits_last", t->name, width), width);
    continue_text(s, t, width, exact, &r);
    remora_session_free(s);
    return r;
}

int main(int argc, char **argv)
{
    static text texts[] = {{.name = "chat"}, {.name = "plain"}, {.name = "code"}};
    enum { N = sizeof texts / sizeof *texts };
    result exact[N];
    int ids[N], bad = 0;
    size_t n;
    if (argc != 5 || goldens_open(&G, argv[1]) != 0) return 2;
    near_tie = atof(argv[4]);
    remora_runtime *rt = host_runtime(NULL, 0, NULL);
    remora_source src = host_path_source(argv[3]);
    remora_model *m = host_open(rt, &src);
    const size_t width = host_vocab(m);
    for (int i = 0; i < N; i++) {
        text *t = &texts[i];
        ids[i] = same_ids(m, t);
        t->greedy = golden_ids("greedy", t->name, &n);
        t->rows = malloc(t->n * width * sizeof *t->rows);
        REQUIRE(n == GREEDY && t->rows != NULL);
        exact[i] = run(m, t, width, 1);
    }
    remora_model_free(m);
    src = host_path_source(argv[2]);
    m = host_open(rt, &src);
    printf("| text | ids | F32: logits | nll | greedy | as stored: KL | nll | greedy |\n"
           "|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < N; i++) {
        const result e = exact[i], q = run(m, &texts[i], width, 0);
        const int good = ids[i] && e.distance <= EXACT && e.nll <= EXACT_NLL &&
                         e.agreed == GREEDY && q.kl > 0 && q.kl <= MAX_KL && q.agreed == q.judged;
        printf("| %s | %s | %.1e | %.1e | %d of %d | %.1e | %+.1e | %d of %d |%s\n", texts[i].name,
               ids[i] ? "equal" : "differ", e.distance, e.nll, e.agreed, GREEDY, q.kl, q.nll,
               q.agreed, q.judged, good ? "" : " FAILED");
        bad += !good;
        free(texts[i].rows);
    }
    remora_model_free(m);
    remora_runtime_free(rt);
    goldens_close(&G);
    return bad != 0;
}
