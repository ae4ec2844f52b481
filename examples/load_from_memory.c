/* A host with its own archive format: the program has the files of a model in memory and opens it
 * from there. The bytes are borrowed: they must stay until the model is gone.
 *
 *     load_from_memory FOLDER
 */
#include <remora/remora.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 256, SKIPPED = 77 };

typedef struct archive {
    remora_blob blobs[MAX_FILES];
    size_t n;
} archive;

static int ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Files that belong to a model: its JSON files, and the weights. */
static int wanted(const char *name)
{
    return ends_with(name, ".json") ||
           (strncmp(name, "model", 5) == 0 && ends_with(name, ".safetensors"));
}

static int read_file(const char *folder, const char *name, remora_blob *out)
{
    char path[4096];
    char *data = NULL, *copy = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    rewind(f);
    if (size >= 0) data = malloc((size_t)size + 1);
    copy = malloc(strlen(name) + 1);
    if (!data || !copy || fread(data, 1, (size_t)size, f) != (size_t)size) {
        free(data);
        free(copy);
        fclose(f);
        return -1;
    }
    strcpy(copy, name);
    *out = (remora_blob){.name = copy, .data = data, .size = (uint64_t)size};
    fclose(f);
    return 0;
}

static int read_folder(const char *folder, archive *a)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int failed = 0;
    if (!dir) return SKIPPED;
    while (!failed && a->n < MAX_FILES && (entry = readdir(dir)))
        if (wanted(entry->d_name) && !(failed = read_file(folder, entry->d_name, &a->blobs[a->n])))
            a->n++;
    closedir(dir);
    return failed ? 1 : 0;
}

static remora_status say(remora_model *m, const char *prompt, remora_error *err)
{
    const remora_stage greedy = {.struct_size = sizeof greedy, .kind = REMORA_STAGE_TEMPERATURE};
    const remora_gen_opts opts = {.struct_size = sizeof opts, .max_tokens = 40};
    remora_session *s = NULL;
    remora_sampler *p = NULL;
    remora_detok detok = {{0}};
    remora_token t[256];
    char text[4096];
    size_t n = 0, len = 0;
    remora_status st = remora_session_create(m, NULL, &s, err);
    if (st == REMORA_OK) st = remora_sampler_create(m, 0, &p, err);
    if (st == REMORA_OK) st = remora_sampler_add(p, &greedy, err);
    if (st == REMORA_OK)
        st = remora_tokenize(m, prompt, strlen(prompt), REMORA_TEXT_BOS, t, 256, &n);
    if (st == REMORA_OK) st = remora_session_append(s, t, n, REMORA_WANT_LAST);
    if (st == REMORA_OK) st = remora_generate(s, p, &opts, t, 256, &n, err);
    if (st >= 0) st = remora_detok_push(m, &detok, t, n, text, sizeof text, &len);
    if (st >= 0) printf("%s%.*s\n", prompt, (int)len, text);
    remora_sampler_free(p);
    remora_session_free(s);
    return st;
}

int main(int argc, char **argv)
{
    static archive a;
    remora_error err = {.struct_size = sizeof err};
    remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY};
    remora_memory mem = {.struct_size = sizeof mem};
    remora_model *m = NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: load_from_memory FOLDER\n");
        return 2;
    }
    const int failed = read_folder(argv[1], &a);
    src.blobs = a.blobs;
    src.n_blobs = a.n;
    remora_status st = failed ? REMORA_E_IO : remora_model_open(NULL, &src, NULL, &m, &err);
    if (st == REMORA_OK) st = remora_model_get_memory(m, &mem);
    if (st == REMORA_OK) {
        printf("%d files; weights: %d kB copied, %d kB used where they lie\n", (int)a.n,
               (int)(mem.host_weights / 1024), (int)(mem.host_mapped / 1024));
        st = say(m, "Once upon a time", &err);
    }
    if (st < 0 && failed != SKIPPED)
        fprintf(stderr, "%s: %s\n", remora_status_name(st), err.message);
    remora_model_free(m);
    for (size_t i = 0; i < a.n; i++) { /* only now: the model is gone */
        free((void *)(uintptr_t)a.blobs[i].data);
        free((void *)(uintptr_t)a.blobs[i].name);
    }
    return failed ? failed : st < 0;
}
