/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "goldens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *goldens_folder(const char *name, char *buf, size_t cap)
{
    const char *models = getenv("REMORA_MODELS");
    struct stat st;
    if (models == NULL || *models == 0) return NULL;
    if ((size_t)snprintf(buf, cap, "%s/%s", models, name) >= cap) return NULL;
    return stat(buf, &st) == 0 && S_ISDIR(st.st_mode) ? buf : NULL;
}

void *goldens_read_file(const char *folder, const char *name, size_t *size)
{
    char path[1024];
    char *data = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL) return NULL;
    if (fseek(f, 0, SEEK_END) == 0) {
        const long n = ftell(f);
        rewind(f);
        data = n >= 0 ? malloc((size_t)n + 1) : NULL;
        if (data != NULL && fread(data, 1, (size_t)n, f) != (size_t)n) {
            free(data);
            data = NULL;
        }
        if (data != NULL) data[n] = 0;
        *size = (size_t)n;
    }
    fclose(f);
    return data;
}

int goldens_open(goldens *g, const char *folder)
{
    uint64_t header = 0;
    size_t size;
    memset(g, 0, sizeof *g);
    char *text = goldens_read_file(folder, "golden.json", &size);
    if (text != NULL) g->json = json_loadb(text, size, 0, NULL);
    free(text);
    g->file = goldens_read_file(folder, "golden.safetensors", &g->size);
    if (g->file == NULL || g->json == NULL || g->size < 8) return -1;
    memcpy(&header, g->file, 8);
    if (header > g->size - 8) return -1;
    g->header = json_loadb((const char *)g->file + 8, (size_t)header, 0, NULL);
    g->data = g->file + 8 + header;
    return g->header != NULL ? 0 : -1;
}

void goldens_close(goldens *g)
{
    json_decref(g->header);
    json_decref(g->json);
    free(g->file);
    memset(g, 0, sizeof *g);
}

/* The tensors' offsets are multiples of 4 in these files, and so is the header. */
static const void *find(const goldens *g, const char *name, const char *dtype, size_t *n)
{
    const json_t *t = json_object_get(g->header, name), *at = json_object_get(t, "data_offsets");
    const char *type = json_string_value(json_object_get(t, "dtype"));
    const size_t begin = (size_t)json_integer_value(json_array_get(at, 0));
    const size_t end = (size_t)json_integer_value(json_array_get(at, 1));
    if (type == NULL || strcmp(type, dtype) != 0 || end < begin) return NULL;
    if (end > g->size - (size_t)(g->data - g->file) || (uintptr_t)(g->data + begin) % 4 != 0)
        return NULL;
    *n = (end - begin) / 4;
    return g->data + begin;
}

const float *goldens_f32(const goldens *g, const char *name, size_t *n)
{
    return find(g, name, "F32", n);
}

const int32_t *goldens_i32(const goldens *g, const char *name, size_t *n)
{
    return find(g, name, "I32", n);
}
