/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny model whose sampler picks the tokens of a script, over and over: generations that do what
 * a test wants. */
#ifndef SCRIPTED_H
#define SCRIPTED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "tiny.h"

enum { SCRIPTED_CAPACITY = 64, SCRIPTED_TURN = 'q' }; /* a token that is text and ends a turn */

typedef struct scripted {
    tiny t;
    tmem mem;
    remora_runtime *rt;
    remora_model *m;
    remora_session *s;
    remora_sampler *p;
    remora_token script[SCRIPTED_CAPACITY];
    size_t n, step; /* tokens of the script; picks so far */
    remora_blob blobs[4];
    char config[4096];
} scripted;

static remora_status REMORA_CALL scripted_pick(void *user, remora_token_prob *c, size_t *n)
{
    scripted *f = user;
    const remora_token want = f->script[f->step++ % f->n];
    for (size_t i = 0; i < *n; i++)
        if (c[i].token == want) {
            c[0] = c[i];
            *n = 1;
            return REMORA_OK;
        }
    return REMORA_E_CALLBACK;
}

/* The model's configuration with another token that ends a turn. */
static inline void scripted_config(scripted *f)
{
    static const char key[] = "\"eos_token_id\":265";
    remora_blob *old = NULL;
    for (uint64_t i = 0; i < f->t.n; i++)
        if (strcmp(f->t.blobs[i].name, "config.json") == 0) old = &f->blobs[i];
    const char *text = old->data, *at = strstr(text, key);
    REQUIRE(at != NULL);
    const int n = snprintf(f->config, sizeof f->config, "%.*s\"eos_token_id\":[%d,%d]%.*s",
                           (int)(at - text), text, TINY_EOS, SCRIPTED_TURN,
                           (int)(text + old->size - at - sizeof key + 1), at + sizeof key - 1);
    REQUIRE(n > 0 && (size_t)n < sizeof f->config);
    old->data = f->config;
    old->size = (uint64_t)n;
}

static inline int scripted_setup(void **state)
{
    scripted *f = calloc(1, sizeof *f);
    remora_error err = HOST_ERROR;
    const remora_stage stage = {
        .struct_size = sizeof stage, .kind = REMORA_STAGE_CALLBACK, .fn = scripted_pick, .user = f};
    REQUIRE(f != NULL);
    tiny_make(&f->t, NULL);
    f->rt = host_runtime(&f->mem, 1, NULL);
    remora_source src = f->t.source;
    memcpy(f->blobs, f->t.blobs, sizeof f->blobs);
    scripted_config(f);
    src.blobs = f->blobs;
    f->m = host_open(f->rt, &src);
    REQUIRE(remora_token_flags(f->m, SCRIPTED_TURN) == REMORA_TOKEN_END_OF_TURN);
    f->s = host_session(f->m, SCRIPTED_CAPACITY, REMORA_KV_F32);
    REQUIRE_OK(remora_sampler_create(f->m, 1, &f->p, &err), &err);
    REQUIRE_OK(remora_sampler_add(f->p, &stage, &err), &err);
    *state = f;
    return 0;
}

static inline int scripted_teardown(void **state)
{
    scripted *f = *state;
    remora_sampler_free(f->p);
    remora_session_free(f->s);
    remora_model_free(f->m);
    remora_runtime_free(f->rt);
    REQUIRE(atomic_load(&f->mem.blocks) == 0 && atomic_load(&f->mem.damage) == 0);
    tiny_free(&f->t);
    free(f);
    return 0;
}

/* A timeline of one token, and the script of those that come next. */
static inline void scripted_begin(scripted *f, const remora_token *script, size_t n)
{
    const remora_token first = 'x';
    REQUIRE(n > 0 && n <= SCRIPTED_CAPACITY);
    memcpy(f->script, script, n * sizeof *script);
    f->n = n;
    f->step = 0;
    REQUIRE_OK(remora_session_trim(f->s, 0, NULL), NULL);
    REQUIRE_OK(remora_session_append(f->s, &first, 1, REMORA_WANT_LAST, NULL), NULL);
}

static inline remora_generation_info scripted_info(const scripted *f)
{
    remora_generation_info i = {.struct_size = sizeof i};
    REQUIRE_OK(remora_session_get_generation(f->s, &i, NULL), NULL);
    return i;
}

#endif
