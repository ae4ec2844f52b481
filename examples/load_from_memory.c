/* SPDX-License-Identifier: Apache-2.0 */
/* A game with its own archive format: the program has a model's pack in memory and opens it from
 * there. The bytes are borrowed: they must stay until `release` says that nothing uses them any
 * more. Where they are aligned to 64 bytes, the weights are used where they lie and nothing is
 * copied.
 *
 *     load_from_memory MODEL.remora
 */
#include <remora/remora.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stands for the game's archive: the file's bytes in aligned memory. */
static void *read_pack(const char *path, uint64_t *size)
{
    FILE *f = fopen(path, "rb");
    void *data = NULL;
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    const long n = ftell(f);
    rewind(f);
    if (n > 0) data = aligned_alloc(64, ((size_t)n + 63) / 64 * 64);
    if (data && fread(data, 1, (size_t)n, f) != (size_t)n) {
        free(data);
        data = NULL;
    }
    fclose(f);
    *size = (uint64_t)n;
    return data;
}

/* Called once, whether the model opens or not. */
static void REMORA_CALL release_pack(void *data)
{
    free(data);
}

static remora_status say(remora_model *m, const char *prompt, remora_error *err)
{
    const remora_stage greedy = {.struct_size = sizeof greedy, .kind = REMORA_STAGE_TEMPERATURE};
    const remora_gen_opts opts = {.struct_size = sizeof opts, .max_tokens = 40};
    remora_session *s = NULL;
    remora_sampler *p = NULL;
    remora_token t[256];
    char text[256];
    size_t n = 0;
    remora_status st = remora_session_create(m, NULL, &s, err);
    if (st == REMORA_OK) st = remora_sampler_create(m, 0, &p, err);
    if (st == REMORA_OK) st = remora_sampler_add(p, &greedy, err);
    if (st == REMORA_OK)
        st = remora_tokenize(m, prompt, strlen(prompt), REMORA_TEXT_BOS, t, 256, &n, err);
    if (st == REMORA_OK) st = remora_session_append(s, t, n, REMORA_WANT_LAST, err);
    if (st == REMORA_OK) printf("%s", prompt);
    for (int go_on = st == REMORA_OK; go_on; go_on = st == REMORA_MORE) {
        st = remora_generate_text(s, p, &opts, text, sizeof text, &n, NULL, 0, NULL, err);
        fwrite(text, 1, n, stdout);
    }
    printf("\n");
    remora_sampler_free(p);
    remora_session_free(s);
    return st;
}

int main(int argc, char **argv)
{
    remora_error err = {.struct_size = sizeof err};
    remora_blob pack = {.name = "model.remora"};
    remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = &pack, .n_blobs = 1};
    remora_memory mem = {.struct_size = sizeof mem};
    remora_model *m = NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: load_from_memory MODEL.remora\n");
        return 2;
    }
    void *data = read_pack(argv[1], &pack.size);
    if (!data) {
        fprintf(stderr, "cannot read %s\n", argv[1]);
        return 1;
    }
    pack.data = src.release_user = data;
    src.release = release_pack;
    remora_status st = remora_model_open(NULL, &src, NULL, &m, &err);
    if (st == REMORA_OK) st = remora_model_get_memory(m, &mem, &err);
    if (st == REMORA_OK) {
        printf("weights: %d kB copied, %d kB used where they lie\n", (int)(mem.host_weights / 1024),
               (int)(mem.host_mapped / 1024));
        st = say(m, "Once upon a time", &err);
    }
    if (st < 0) fprintf(stderr, "%s: %s\n", remora_status_name(st), err.message);
    remora_model_free(m); /* the last one that uses the pack */
    return st < 0;
}
