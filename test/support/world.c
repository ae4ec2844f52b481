/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define TOKENIZER "tokenizer.json"
#define LIST "\"added_tokens\":["
#define ENTRY "{\"id\":%d,\"content\":\"%s\",\"special\":%s},"

/* tiny's tokenizer with the added tokens in it. */
static char *tokenizer_json(const remora_blob *old, const world_opts *o, size_t *size)
{
    const char *text = old->data, *at = strstr(text, LIST);
    size_t room = old->size;
    REQUIRE(at != NULL);
    for (size_t i = 0; i < o->n_added; i++) room += strlen(o->added[i]) + sizeof ENTRY + 16;
    const size_t head = (size_t)(at - text) + sizeof LIST - 1;
    char *json = malloc(room);
    REQUIRE(json != NULL);
    memcpy(json, text, head);
    size_t n = head;
    for (size_t i = 0; i < o->n_added; i++)
        n += (size_t)sprintf(json + n, ENTRY, TINY_TEXT_VOCAB + (int)i, o->added[i],
                             i < o->n_plain ? "false" : "true");
    memcpy(json + n, text + head, old->size - head);
    *size = n + old->size - head;
    return json;
}

static void REMORA_CALL on_log(void *user, int32_t level, const char *msg, size_t len)
{
    world *w = user;
    const size_t n = strlen(w->warned);
    if (level != REMORA_LOG_WARN) return;
    w->warnings++;
    REQUIRE(n + len + 2 <= sizeof w->warned);
    memcpy(w->warned + n, msg, len);
    memcpy(w->warned + n + len, "\n", 2);
}

void world_begin(world *w, const world_opts *o)
{
    static const world_opts none;
    if (o == NULL) o = &none;
    memset(w, 0, sizeof *w);
    tiny_make(&w->t, &o->model);
    memcpy(w->blobs, w->t.blobs, sizeof w->blobs);
    if (o->n_added > 0) {
        const remora_blob *old = tiny_blob(&w->t, TOKENIZER);
        remora_blob *new = &w->blobs[old - w->t.blobs];
        size_t size;
        w->json = tokenizer_json(old, o, &size);
        new->data = w->json;
        new->size = size;
    }
    remora_source src = w->t.source;
    src.blobs = w->blobs;
    remora_error err = HOST_ERROR;
    remora_runtime_opts opts = host_runtime_opts(&w->mem, 1);
    opts.log = on_log;
    opts.log_user = w;
    REQUIRE_OK(remora_runtime_create(&opts, &w->rt, &err), &err);
    w->m = host_open(w->rt, &src);
}

void world_end(world *w)
{
    remora_model_free(w->m);
    remora_runtime_free(w->rt);
    REQUIRE(atomic_load(&w->mem.blocks) == 0 && atomic_load(&w->mem.damage) == 0);
    tiny_free(&w->t);
    free(w->json);
}
