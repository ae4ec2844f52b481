/* SPDX-License-Identifier: Apache-2.0 */
/* Constraints over a real vocabulary, for constraints.py: reads requests, one JSON object a line,
 * and answers each with one line.
 *
 *     constraints TOKENIZER_FOLDER N_VOCAB
 *     {"kind": "gbnf" | "regex" | "schema", "draft": 0 | 7, "source": "..", "texts": ["..", ..]}
 *     {"compile_us": .., "first_us": .., "mask_us": [..], "accepted": [..]}  or  {"error": ".."}
 *
 * first_us: compiling and the first mask. mask_us: each mask on the way through the texts, but for
 * the first of all. accepted: the tokens of a text may come one after another and end. */
#define _POSIX_C_SOURCE 200809L
#include <jansson.h>
#include <string.h>

#include "constraint.h"
#include "front_ends.h"
#include "measure.h"
#include "schema.h"
#include "tokenizer_of.h"

static rmr_mem mem;
static rmr_tokenizer *tok;
static rmr_vocabulary *vocab;
static uint32_t *mask;

static double now_us(void)
{
    return 1e6 * now();
}

static json_t *failed(const remora_error *err)
{
    return json_pack("{s:s}", "error", err->message);
}

static remora_status front_end(rmr_grammar *g, const char *kind, int draft, const char *src,
                               size_t n, remora_error *err)
{
    if (strcmp(kind, "gbnf") == 0) return rmr_gbnf(g, src, n, err);
    if (strcmp(kind, "regex") == 0) return rmr_regex(g, src, n, err);
    if (strcmp(kind, "schema") == 0) {
        const rmr_schema_opts o = {.draft = draft};
        rmr_rule start;
        RMR_TRY(rmr_schema(g, src, n, &o, &start, err));
        return rmr_grammar_finish(g, start, err);
    }
    return rmr_error_set(err, REMORA_E_UNSUPPORTED, 0, "the kind %s is not known", kind);
}

static remora_status compile(json_t *request, rmr_constraint **c, remora_error *err)
{
    rmr_grammar *g;
    json_t *src = json_object_get(request, "source");
    RMR_TRY(rmr_grammar_new(&mem, NULL, &g, err));
    const remora_status st = front_end(g, json_string_value(json_object_get(request, "kind")),
                                       (int)json_integer_value(json_object_get(request, "draft")),
                                       json_string_value(src), json_string_length(src), err);
    if (st < 0) {
        rmr_grammar_free(g);
        return st;
    }
    return rmr_constraint_new(&mem, g, vocab, c, err);
}

/* A mask before each token of the text, and one at its end. */
static int follow(rmr_guide *m, const char *text, size_t n, json_t *times)
{
    remora_error err = {.struct_size = sizeof err};
    remora_token *ids = malloc((n + 1) * sizeof *ids);
    size_t count = 0;
    int ok = ids != NULL &&
             rmr_tokenizer_encode(tok, text, n, 0, ids, n + 1, &count, &err) == REMORA_OK,
        end = 0;
    for (size_t i = 0; ok; i++) {
        const double start = now_us();
        const remora_status st = rmr_guide_mask(m, mask, &err);
        json_array_append_new(times, json_real(now_us() - start));
        if (st < 0) fprintf(stderr, "mask: %s\n", err.message);
        if (i == count || st < 0) break;
        ok = mask[ids[i] / 32] >> (ids[i] % 32) & 1;
        if (rmr_guide_accept(m, ids[i], &err) != (ok ? REMORA_OK : REMORA_E_NO_TOKEN)) abort();
    }
    free(ids);
    if (rmr_guide_may_end(m, &end, &err) < 0) return 0;
    return ok && end;
}

static json_t *answer(json_t *request)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_constraint *c = NULL;
    rmr_guide *m = NULL;
    size_t i;
    json_t *text, *times = json_array(), *accepted = json_array();
    const double start = now_us();
    if (compile(request, &c, &err) < 0) return failed(&err);
    const double compiled = now_us();
    if (rmr_guide_new(c, &m, &err) < 0 || rmr_guide_mask(m, mask, &err) < 0) return failed(&err);
    const double first = now_us();
    json_array_foreach(json_object_get(request, "texts"), i, text)
    {
        json_array_append_new(accepted, json_boolean(follow(m, json_string_value(text),
                                                            json_string_length(text), times)));
        rmr_guide_rollback(m, rmr_guide_count(m), NULL);
    }
    rmr_guide_free(m);
    rmr_constraint_free(c);
    return json_pack("{s:f, s:f, s:o, s:o}", "compile_us", compiled - start, "first_us",
                     first - start, "mask_us", times, "accepted", accepted);
}

static int set_up(const char *folder, uint32_t n_vocab)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_source *src;
    rmr_mem_init(&mem);
    const remora_source at = {.struct_size = sizeof at, .kind = REMORA_SOURCE_PATH, .path = folder};
    if (rmr_source_open(&mem, &at, 1, &src, &err) < 0 ||
        tokenizer_of(&mem, src, n_vocab, &tok, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 0;
    }
    rmr_source_free(src);
    const double start = now_us();
    if (rmr_vocabulary_of(&mem, tok, n_vocab, &vocab, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 0;
    }
    fprintf(stderr, "vocabulary: %.1f ms, %.1f MB, parts of %u, %u and %u nodes\n",
            (now_us() - start) / 1e3, (double)rmr_vocabulary_bytes(vocab) / 1e6, vocab->parts[0].n,
            vocab->parts[1].n, vocab->parts[2].n);
    mask = malloc(vocab->words * sizeof *mask);
    return mask != NULL;
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t cap = 0;
    if (argc != 3 || !set_up(argv[1], (uint32_t)atoi(argv[2]))) return 1;
    while (getline(&line, &cap, stdin) > 0) {
        json_t *request = json_loads(line, JSON_ALLOW_NUL, NULL), *a = answer(request);
        json_dumpf(a, stdout, JSON_COMPACT);
        printf("\n");
        fflush(stdout);
        json_decref(a);
        json_decref(request);
    }
    free(line);
    free(mask);
    rmr_vocabulary_free(vocab);
    rmr_tokenizer_free(tok);
    return 0;
}
