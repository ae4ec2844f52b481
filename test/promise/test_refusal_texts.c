/* SPDX-License-Identifier: Apache-2.0 */
/* What a refusal says: the subject, what was found, and what is supported. (That each call of the
 * header which fails says something is in P1.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "tiny.h"

enum { CAP = 64 };

typedef struct fixture {
    tiny t;
    remora_model *m;
    remora_session *s;
    remora_sampler *p;
} fixture;

static int setup(void **state)
{
    static const remora_token some[] = {5, 6, 7, 8, 9};
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tiny_make(&f->t, NULL);
    f->m = host_open(NULL, &f->t.source);
    f->s = host_session(f->m, CAP, 0);
    REQUIRE_OK(remora_sampler_create(f->m, 1, &f->p, NULL), NULL);
    REQUIRE_OK(remora_session_append(f->s, some, 5, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&f->s, 1, NULL, NULL), NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    remora_sampler_free(f->p);
    remora_session_free(f->s);
    remora_model_free(f->m);
    tiny_free(&f->t);
    free(f);
    return 0;
}

static remora_error err;

static remora_error *clear(void)
{
    err = (remora_error)HOST_ERROR;
    return &err;
}

/* Each word of the list is in the message. */
static void says(remora_status st, remora_status want, const char *const words[4], const char *call,
                 int line)
{
    if (st != want || err.code != want)
        fail_msg("line %d: %s is %s, not %s: %s", line, call, remora_status_name(st),
                 remora_status_name(want), err.message);
    for (int i = 0; i < 4 && words[i] != NULL; i++)
        if (strstr(err.message, words[i]) == NULL)
            fail_msg("line %d: %s does not say \"%s\": %s", line, call, words[i], err.message);
}

#define ERR clear()
#define SAYS(call, want, ...)                                                                      \
    says((call), (want), (const char *const[4]){__VA_ARGS__}, #call, __LINE__)

static void timeline(void **state)
{
    fixture *f = *state;
    remora_token t[CAP] = {0};
    size_t n;
    t[3] = 99999;
    SAYS(remora_session_append(f->s, t, 5, 0, ERR), REMORA_E_ARG, "token 3 is 99999", "has 272");
    SAYS(remora_session_sync(f->s, t, 5, 0, &n, ERR), REMORA_E_ARG, "is 99999", "has 272");
    SAYS(remora_session_append(f->s, t, 1, 64, ERR), REMORA_E_ARG, "want 0x40");
    SAYS(remora_session_append(f->s, t, CAP, 0, ERR), REMORA_E_FULL, "5 tokens", "64 more",
         "capacity 64");
    SAYS(remora_session_trim(f->s, 6, ERR), REMORA_E_ARG, "keep is 6", "5 tokens");
    SAYS(remora_session_tokens(f->s, 9, t, CAP, &n, ERR), REMORA_E_ARG, "from is 9", "5 tokens");
    SAYS(remora_session_tokens(f->s, 1, t, 2, &n, ERR), REMORA_E_BUFFER, "out", "room for 2",
         "4 are needed");
}

static void rows(void **state)
{
    fixture *f = *state;
    const float *row;
    remora_token_prob top;
    remora_token t;
    float x[TINY_TEXT_VOCAB];
    size_t n;
    SAYS(remora_session_logits(f->s, 7, &row, &n, ERR), REMORA_E_NOT_FOUND, "row 7", "5 are ready");
    SAYS(remora_session_top(f->s, 7, &top, 1, &n, ERR), REMORA_E_NOT_FOUND, "row 7");
    SAYS(remora_session_logprob(f->s, 7, 1, x, ERR), REMORA_E_NOT_FOUND, "row 7");
    SAYS(remora_session_logprob(f->s, 1, -5, x, ERR), REMORA_E_ARG, "token -5", "of 272");
    SAYS(remora_session_hidden(f->s, 1, x, CAP, &n, ERR), REMORA_E_NOT_FOUND, "row 1",
         "REMORA_WANT_HIDDEN");
    SAYS(remora_sampler_pick(f->p, f->s, 7, &t, ERR), REMORA_E_NOT_FOUND, "row 7");
    SAYS(remora_sampler_pick_from(f->p, x, 0, &t, ERR), REMORA_E_ARG, "0 logits", "1 to 272");
    SAYS(remora_sampler_accept(f->p, 272, ERR), REMORA_E_ARG, "token 272", "of 272");
}

static remora_status refuse(void *user, remora_token_prob *cand, size_t *n)
{
    (void)user, (void)cand, (void)n;
    return REMORA_E_IO;
}

static void picks(void **state)
{
    fixture *f = *state;
    const remora_stage warm = {
        .struct_size = sizeof warm, .kind = REMORA_STAGE_TEMPERATURE, .value = 0.5};
    const remora_stage own = {
        .struct_size = sizeof own, .kind = REMORA_STAGE_CALLBACK, .fn = refuse};
    remora_sampler *p;
    remora_token t;
    float none[4];
    for (int i = 0; i < 4; i++) none[i] = -1.0f / 0.0f;
    REQUIRE_OK(remora_sampler_create(f->m, 1, &p, NULL), NULL);
    REQUIRE_OK(remora_sampler_add(p, &warm, NULL), NULL);
    SAYS(remora_sampler_pick_from(p, none, 4, &t, ERR), REMORA_E_NO_TOKEN, "no token",
         "after 1 stages");
    REQUIRE_OK(remora_sampler_add(p, &own, NULL), NULL);
    SAYS(remora_sampler_pick(p, f->s, 0, &t, ERR), REMORA_E_CALLBACK, "stage 1", "CALLBACK");
    remora_sampler_free(p);
}

static void texts(void **state)
{
    fixture *f = *state;
    remora_token t[4], odd[] = {'a', 272};
    remora_detok d = {{0}}, bad = {{UINT64_MAX, 0, 0, 0}};
    char buf[8];
    size_t n;
    SAYS(remora_tokenize(f->m, "abc", 3, 64, t, 4, &n, ERR), REMORA_E_ARG, "0x40", "0x3 are");
    SAYS(remora_tokenize(f->m, "a", (size_t)1 << 32, 0, t, 4, &n, ERR), REMORA_E_ARG, "4294967296",
         "2147483647");
    SAYS(remora_tokenize(f->m, "abcdefgh", 8, 0, t, 4, &n, ERR), REMORA_E_BUFFER, "tokens", "4");
    SAYS(remora_token_bytes(f->m, 272, buf, 8, &n, ERR), REMORA_E_ARG, "token 272", "of 272");
    SAYS(remora_token_bytes(f->m, 'a', buf, 0, &n, ERR), REMORA_E_BUFFER, "1 are needed");
    SAYS(remora_detok_push(f->m, &d, odd, 2, buf, 8, &n, ERR), REMORA_E_ARG, "token 272");
    SAYS(remora_detok_push(f->m, &d, odd, 1, buf, 0, &n, ERR), REMORA_E_BUFFER, "0 bytes", "1 are");
    SAYS(remora_detok_flush(f->m, &bad, buf, 8, &n, ERR), REMORA_E_ARG, "no state");
}

static void metadata(void **state)
{
    fixture *f = *state;
    uint64_t counts[2];
    char buf[2];
    size_t n;
    SAYS(remora_model_meta(f->m, "config.colour", buf, 2, &n, ERR), REMORA_E_NOT_FOUND,
         "config.colour");
    SAYS(remora_model_meta(f->m, "source", buf, 2, &n, ERR), REMORA_E_BUFFER, "room for 2");
    SAYS(remora_model_meta_key(f->m, 9999, buf, 2, &n, ERR), REMORA_E_NOT_FOUND, "key 9999");
    SAYS(remora_routing_enable(f->m, 7, ERR), REMORA_E_ARG, "on is 7", "0 and 1");
    SAYS(remora_routing_read(f->m, 0, 0, counts, 2, &n, ERR), REMORA_E_NOT_FOUND, "layer 0",
         "no experts");
    SAYS(remora_routing_read(f->m, 1, 0, counts, 2, &n, ERR), REMORA_E_BUFFER, "counts",
         "room for 2");
}

/* The most common mistake of a binding: memory that nobody has cleared. */
static void a_forgotten_size(void **state)
{
    fixture *f = *state;
    remora_model_info i;
    memset(&i, 0xa5, sizeof i);
    SAYS(remora_model_get_info(f->m, &i, ERR), REMORA_E_STRUCT, "remora_model_info: struct_size",
         "2779096485", "to 4096");
    memset(&i, 0, sizeof i);
    SAYS(remora_model_get_info(f->m, &i, ERR), REMORA_E_STRUCT, "struct_size is 0", "in release");
}

static void options(void **state)
{
    fixture *f = *state;
    remora_session_opts so = {.struct_size = sizeof so, .n_extra = 1};
    remora_gen_opts g = {.struct_size = sizeof g, .n_stop = 1};
    const remora_option extra = host_option("x-odd", "1");
    const remora_text empty = {"", 0}, null = {NULL, 3};
    remora_session *s;
    remora_token t;
    size_t n;
    SAYS(remora_session_create(f->m, &so, &s, ERR), REMORA_E_ARG, "extra is NULL", "n_extra is 1");
    so.extra = &extra;
    SAYS(remora_session_create(f->m, &so, &s, ERR), REMORA_E_UNSUPPORTED, "\"x-odd\"", "have none");
    SAYS(remora_generate(f->s, f->p, &g, &t, 1, &n, ERR), REMORA_E_ARG, "stop is NULL",
         "n_stop is 1");
    g.stop = &empty;
    SAYS(remora_generate(f->s, f->p, &g, &t, 1, &n, ERR), REMORA_E_ARG, "stop[0] has 0",
         "1 to 4096");
    g.stop = &null;
    SAYS(remora_generate(f->s, f->p, &g, &t, 1, &n, ERR), REMORA_E_ARG, "stop[0]");
    g.n_stop = 0;
    REQUIRE_OK(remora_session_trim(f->s, 0, NULL), NULL);
    SAYS(remora_generate(f->s, f->p, &g, &t, 1, &n, ERR), REMORA_E_ARG, "nothing to go on from",
         "append tokens first");
}

/* ---- fields that a kind does not use ---- */

static void stages(void **state)
{
    fixture *f = *state;
    static const struct {
        int32_t kind;
        double value;
        int64_t count;
        const char *name;
    } kinds[] = {{REMORA_STAGE_TEMPERATURE, 0.5, 0, "temperature"},
                 {REMORA_STAGE_TOP_K, 0, 5, "top-k"},
                 {REMORA_STAGE_TOP_P, 0.9, 0, "top-p"},
                 {REMORA_STAGE_MIN_P, 0.1, 0, "min-p"},
                 {REMORA_STAGE_REPEAT, 1.1, 9, "penalty"},
                 {REMORA_STAGE_FREQUENCY, 1.1, 9, "penalty"},
                 {REMORA_STAGE_PRESENCE, 1.1, 9, "penalty"},
                 {REMORA_STAGE_BIAS, 1.5, 9, "bias"},
                 {REMORA_STAGE_CALLBACK, 0, 0, "callback"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const int is_callback = kinds[i].kind == REMORA_STAGE_CALLBACK;
        const remora_stage good = {.struct_size = sizeof good,
                                   .kind = kinds[i].kind,
                                   .value = kinds[i].value,
                                   .count = kinds[i].count,
                                   .fn = is_callback ? refuse : NULL};
        remora_stage s = good;
        REQUIRE_OK(remora_sampler_add(f->p, &good, NULL), NULL);
        if (good.value == 0.0) {
            s.value = 0.25;
            SAYS(remora_sampler_add(f->p, &s, ERR), REMORA_E_ARG, kinds[i].name, "value is 0.25",
                 "must be 0");
        }
        s = good;
        if (good.count == 0) {
            s.count = 77;
            SAYS(remora_sampler_add(f->p, &s, ERR), REMORA_E_ARG, kinds[i].name, "count is 77",
                 "must be 0");
        }
        s = good;
        if (!is_callback) {
            s.user = &s;
            SAYS(remora_sampler_add(f->p, &s, ERR), REMORA_E_ARG, kinds[i].name, "must be NULL");
            s.user = NULL;
            s.fn = refuse;
            SAYS(remora_sampler_add(f->p, &s, ERR), REMORA_E_ARG, kinds[i].name, "must be NULL");
        }
    }
}

static void sources(void **state)
{
    fixture *f = *state;
    host_io io = {.blobs = f->t.source.blobs, .n = f->t.source.n_blobs};
    const remora_source from_io = host_io_source(&io), memory = f->t.source,
                        path = host_path_source("/nowhere");
    remora_model *m;
    remora_source s[7] = {path, path, path, memory, memory, from_io, from_io};
    s[0].blobs = memory.blobs;
    s[1].n_blobs = 1;
    s[2].io_read = from_io.io_read;
    s[3].io_user = &io;
    s[4].io_size = from_io.io_size;
    s[5].blobs = memory.blobs;
    s[6].n_blobs = 1;
    for (int i = 0; i < 7; i++)
        SAYS(remora_model_open(NULL, &s[i], NULL, &m, ERR), REMORA_E_ARG, "source",
             s[i].kind == REMORA_SOURCE_IO || i < 2 ? "blobs" : "io_", "must be");
    SAYS(remora_model_open(NULL, &path, NULL, &m, ERR), REMORA_E_NOT_FOUND, "/nowhere");
}

/* A folder without a model is named. */
static void a_folder_of_something_else(void **state)
{
    char dir[HOST_DIR], file[64];
    remora_model *m;
    (void)state;
    host_dir_make(dir);
    snprintf(file, sizeof file, "%s/notes.txt", dir);
    const remora_source src = host_path_source(dir);
    SAYS(remora_model_open(NULL, &src, NULL, &m, ERR), REMORA_E_NOT_FOUND, dir, "config.json");
    FILE *f = fopen(file, "w");
    REQUIRE(f != NULL && fputs("buy milk", f) >= 0 && fclose(f) == 0);
    SAYS(remora_model_open(NULL, &src, NULL, &m, ERR), REMORA_E_NOT_FOUND, dir,
         "has no config.json", "a GGUF file");
    REQUIRE(remove(file) == 0 && rmdir(dir) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeline), cmocka_unit_test(rows),
        cmocka_unit_test(picks),    cmocka_unit_test(texts),
        cmocka_unit_test(metadata), cmocka_unit_test(a_forgotten_size),
        cmocka_unit_test(options),  cmocka_unit_test(stages),
        cmocka_unit_test(sources),  cmocka_unit_test(a_folder_of_something_else)};
    return RUN_GROUP("refusal_texts", tests, setup, teardown);
}
