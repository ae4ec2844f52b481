/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "host.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

remora_runtime *host_runtime(tmem *t, int32_t n_threads, const char *isa)
{
    remora_error err = HOST_ERROR;
    const remora_option extra = host_option("x-isa", isa);
    remora_runtime *rt = NULL;
    remora_runtime_opts o = host_runtime_opts(t, n_threads);
    if (isa != NULL) {
        o.extra = &extra;
        o.n_extra = 1;
    }
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    return rt;
}

uint32_t host_sets(char names[HOST_SETS][16])
{
    const char *at = strrchr(remora_build_info(), '(');
    uint32_t n = 0;
    REQUIRE(at != NULL);
    for (at++; *at != 0; at += strspn(at, ", )")) {
        const size_t len = strcspn(at, ",)");
        REQUIRE(n < HOST_SETS && len > 0 && len < sizeof names[0]);
        memcpy(names[n], at, len);
        names[n++][len] = 0;
        at += len;
    }
    return n;
}

void host_ran(const char *set)
{
    printf("ran: %s\n", set);
}

remora_model *host_open(remora_runtime *rt, const remora_source *src)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    REQUIRE_OK(remora_model_open(rt, src, NULL, &m, &err), &err);
    return m;
}

remora_session *host_session(remora_model *m, uint32_t capacity, int32_t kv_type)
{
    remora_error err = HOST_ERROR;
    const remora_session_opts o = {
        .struct_size = sizeof o, .capacity = capacity, .kv_type = kv_type};
    remora_session *s = NULL;
    REQUIRE_OK(remora_session_create(m, &o, &s, &err), &err);
    return s;
}

remora_session *host_loaded(remora_model *m, uint32_t capacity, uint32_t chunk,
                            const remora_token *ids, size_t n)
{
    remora_error err = HOST_ERROR;
    const remora_session_opts o = {
        .struct_size = sizeof o, .capacity = capacity, .chunk = chunk, .kv_type = REMORA_KV_F32};
    remora_session *s = NULL;
    REQUIRE_OK(remora_session_create(m, &o, &s, &err), &err);
    REQUIRE_OK(remora_session_append(s, ids, n, REMORA_WANT_ALL, NULL), NULL);
    return s;
}

remora_session_info host_session_info(const remora_session *s)
{
    remora_session_info i = {.struct_size = sizeof i};
    REQUIRE(remora_session_get_info(s, &i, NULL) == REMORA_OK);
    return i;
}

uint32_t host_vocab(const remora_model *m)
{
    remora_model_info i = {.struct_size = sizeof i};
    REQUIRE(remora_model_get_info(m, &i, NULL) == REMORA_OK);
    return i.n_vocab;
}

float *host_rows(remora_session *s, uint32_t n_rows)
{
    float *all = NULL;
    for (uint32_t i = 0; i < n_rows; i++) {
        const float *row;
        size_t n_vocab;
        REQUIRE(remora_session_logits(s, i, &row, &n_vocab, NULL) == REMORA_OK);
        if (all == NULL) all = malloc((size_t)n_rows * n_vocab * sizeof *all);
        REQUIRE(all != NULL);
        memcpy(all + i * n_vocab, row, n_vocab * sizeof *all);
    }
    return all;
}

float *host_logits(remora_model *m, const remora_token *ids, size_t n)
{
    remora_error err = HOST_ERROR;
    remora_session *s = host_session(m, (uint32_t)n, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(s, ids, n, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    float *all = host_rows(s, (uint32_t)n);
    remora_session_free(s);
    return all;
}

int host_maps(const char *part)
{
    char line[1200];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    REQUIRE(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) found |= strstr(line, part) != NULL;
    fclose(maps);
    return found;
}

remora_source host_path_source(const char *path)
{
    return (remora_source){
        .struct_size = sizeof(remora_source), .kind = REMORA_SOURCE_PATH, .path = path};
}

void host_convert(remora_runtime *rt, const remora_source *src, const char *path,
                  const char *recipe, int zstd)
{
    remora_error err = HOST_ERROR;
    const remora_convert_opts o = {.struct_size = sizeof o, .recipe = recipe, .zstd_level = zstd};
    REQUIRE_OK(remora_convert(rt, src, path, &o, &err), &err);
}

void host_dir_make(char dir[HOST_DIR])
{
    strcpy(dir, "/tmp/remora-XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
}

uint32_t host_dir_count(const char *dir)
{
    uint32_t n = 0;
    DIR *d = opendir(dir);
    REQUIRE(d != NULL);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static const remora_blob *find(const host_io *io, const char *name)
{
    for (uint64_t i = 0; i < io->n; i++)
        if (strcmp(io->blobs[i].name, name) == 0) return &io->blobs[i];
    return NULL;
}

static int fails(host_io *io)
{
    const long call = atomic_fetch_add(&io->calls, 1) + 1;
    return io->fail_at > 0 && (io->only ? call == io->fail_at : call >= io->fail_at);
}

static remora_status io_size(void *user, const char *name, uint64_t *size)
{
    host_io *io = user;
    if (fails(io)) return io->with;
    const remora_blob *b = find(io, name);
    if (b == NULL) return REMORA_E_NOT_FOUND;
    *size = b->size;
    return REMORA_OK;
}

static remora_status io_read(void *user, const char *name, uint64_t off, void *buf, uint64_t n)
{
    host_io *io = user;
    if (fails(io)) return io->with;
    const remora_blob *b = find(io, name);
    if (b == NULL || off > b->size || n > b->size - off) return REMORA_E_IO;
    memcpy(buf, (const char *)b->data + off, (size_t)n);
    return REMORA_OK;
}

remora_source host_io_source(host_io *io)
{
    return (remora_source){.struct_size = sizeof(remora_source),
                           .kind = REMORA_SOURCE_IO,
                           .io_user = io,
                           .io_size = io_size,
                           .io_read = io_read};
}

void host_sample(remora_session *s, remora_sampler *p, remora_token *out, size_t n)
{
    remora_error err = HOST_ERROR;
    for (size_t i = 0; i < n; i++) {
        REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
        REQUIRE_OK(remora_sampler_pick(p, s, 0, &out[i], &err), &err);
        REQUIRE_OK(remora_sampler_accept(p, out[i], &err), &err);
        REQUIRE_OK(remora_session_append(s, &out[i], 1, REMORA_WANT_LAST, &err), &err);
    }
}
