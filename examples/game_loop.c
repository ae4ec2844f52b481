/* SPDX-License-Identifier: Apache-2.0 */
/* A game's frame loop: several characters think at once, and no frame gives them more than 2 ms.
 * The world's description is evaluated once; every character is a fork of it, which shares its
 * cache. One remora_eval() call serves all characters; when the budget ends in the middle of a
 * step, the next frame goes on there.
 *
 *     game_loop MODEL [FRAMES]
 */
#include <remora/remora.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { N_NPC = 4, BUDGET_US = 2000, FRAME_US = 16667, MAX_FRAMES = 100000 };

typedef struct npc {
    const char *cue;
    remora_session *mind;
    remora_sampler *sampler;
    remora_detok detok;
    char said[1024];
    size_t len;
} npc;

static const char world[] =
    "The village lay between the river and the old forest. It was market day, and everybody was in "
    "the square: the baker with his bread, the smith with his knives, the old woman who knew all "
    "the stories, and a little girl who had lost her cat.";

static npc npcs[N_NPC] = {{.cue = " The baker said, \""},
                          {.cue = " The smith said, \""},
                          {.cue = " The old woman said, \""},
                          {.cue = " The little girl said, \""}};

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static remora_status append_text(const remora_model *m, remora_session *s, const char *text,
                                 uint32_t flags)
{
    remora_token t[512];
    size_t n;
    const remora_status st = remora_tokenize(m, text, strlen(text), flags, t, 512, &n, NULL);
    return st < 0 ? st : remora_session_append(s, t, n, REMORA_WANT_LAST, NULL);
}

static remora_status wake(npc *c, remora_model *m, remora_session *base, uint64_t seed)
{
    const remora_stage warm = {
        .struct_size = sizeof warm, .kind = REMORA_STAGE_TEMPERATURE, .value = 0.8};
    remora_status st = remora_session_fork(base, &c->mind, NULL);
    if (st == REMORA_OK) st = remora_sampler_create(m, seed, &c->sampler, NULL);
    if (st == REMORA_OK) st = remora_sampler_add(c->sampler, &warm, NULL);
    return st == REMORA_OK ? append_text(m, c->mind, c->cue, 0) : st;
}

/* The character's tokens are evaluated: take its next word and leave it pending. */
static remora_status speak(npc *c, const remora_model *m)
{
    remora_session_info info = {.struct_size = sizeof info};
    remora_token t;
    size_t n;
    remora_status st = remora_session_get_info(c->mind, &info, NULL);
    if (st < 0 || info.n_rows == 0) return st;
    st = remora_sampler_pick(c->sampler, c->mind, info.n_rows - 1, &t, NULL);
    if (st == REMORA_OK) st = remora_session_append(c->mind, &t, 1, REMORA_WANT_LAST, NULL);
    if (st == REMORA_OK)
        st = remora_detok_push(m, &c->detok, &t, 1, c->said + c->len, sizeof c->said - c->len, &n,
                               NULL);
    if (st == REMORA_OK) c->len += n;
    if (st == REMORA_E_BUFFER) c->len = 0; /* the speech bubble is full: begin a new one */
    return st == REMORA_E_BUFFER ? REMORA_OK : st;
}

/* What the characters do in one frame. */
static remora_status think(remora_model *m)
{
    remora_session *minds[N_NPC];
    const remora_eval_opts opts = {.struct_size = sizeof opts, .budget_us = BUDGET_US};
    remora_status st;
    for (int i = 0; i < N_NPC; i++) minds[i] = npcs[i].mind;
    st = remora_eval(minds, N_NPC, &opts, NULL);
    for (int i = 0; st == REMORA_OK && i < N_NPC; i++) st = speak(&npcs[i], m);
    return st;
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static remora_status play(remora_model *m, int frames, int64_t *took)
{
    for (int f = 0; f < frames; f++) {
        const int64_t start = now_us();
        const remora_status st = think(m);
        took[f] = now_us() - start;
        if (st < 0) return st;
        /* here the game draws; a real loop would wait for the rest of FRAME_US */
    }
    return REMORA_OK;
}

int main(int argc, char **argv)
{
    static int64_t took[MAX_FRAMES];
    const int frames = argc > 2 ? atoi(argv[2]) : 300;
    remora_error err = {.struct_size = sizeof err};
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
    remora_memory mem = {.struct_size = sizeof mem};
    remora_model *m = NULL;
    remora_session *base = NULL;
    if (argc < 2 || frames < 1 || frames > MAX_FRAMES) return 2;
    src.path = argv[1];
    remora_status st = remora_model_open(NULL, &src, NULL, &m, &err);
    if (st == REMORA_OK) st = remora_session_create(m, NULL, &base, &err);
    if (st == REMORA_OK) st = append_text(m, base, world, REMORA_TEXT_BOS);
    if (st == REMORA_OK) st = remora_eval(&base, 1, NULL, &err); /* while the level loads */
    for (int i = 0; st == REMORA_OK && i < N_NPC; i++)
        st = wake(&npcs[i], m, base, (uint64_t)i + 1);
    if (st == REMORA_OK) st = play(m, frames, took);
    if (st == REMORA_OK) st = remora_model_get_memory(m, &mem, &err);
    if (st == REMORA_OK) {
        qsort(took, (size_t)frames, sizeof took[0], by_value);
        for (int i = 0; i < N_NPC; i++)
            printf("%s%.*s ...\n", npcs[i].cue + 1, (int)npcs[i].len, npcs[i].said);
        printf("%d frames, budget %d us of %d: median %d us, 99 %% %d us, longest %d us\n", frames,
               BUDGET_US, FRAME_US, (int)took[frames / 2], (int)took[frames * 99 / 100],
               (int)took[frames - 1]);
        printf("cache of the world and %d characters: %d kB\n", N_NPC, (int)(mem.host_kv / 1024));
    }
    if (st < 0) fprintf(stderr, "%s: %s\n", remora_status_name(st), err.message);
    for (int i = 0; i < N_NPC; i++) {
        remora_sampler_free(npcs[i].sampler);
        remora_session_free(npcs[i].mind);
    }
    remora_session_free(base);
    remora_model_free(m);
    return st < 0;
}
