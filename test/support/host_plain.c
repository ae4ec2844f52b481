/* SPDX-License-Identifier: Apache-2.0 */
/* The part of host.h that calls nothing of the library. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void host_require(int ok, const char *what, const char *file, int line)
{
    if (ok) return;
    fprintf(stderr, "%s:%d: must hold: %s\n", file, line, what);
    abort();
}

void host_require_ok(remora_status st, const remora_error *err, const char *what, const char *file,
                     int line)
{
    if (st >= 0) return;
    fprintf(stderr, "%s:%d: %s: status %d: %s\n", file, line, what, st,
            err != NULL ? err->message : "");
    abort();
}

uint32_t host_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

void host_ids(remora_token *ids, size_t n, uint32_t n_vocab, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) ids[i] = (remora_token)(host_random(&seed) % n_vocab);
}

int host_folder(char *path, size_t cap, const char *name)
{
    const char *root = getenv("REMORA_MODELS");
    char probe[2048];
    if (root == NULL) return 0;
    snprintf(path, cap, "%s/%s", root, name);
    snprintf(probe, sizeof probe, "%s/config.json", path);
    FILE *f = fopen(probe, "rb");
    if (f == NULL) fprintf(stderr, "%s is not there\n", probe);
    REQUIRE(f != NULL);
    fclose(f);
    return 1;
}

unsigned char *host_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) return NULL;
    REQUIRE(fseek(f, 0, SEEK_END) == 0);
    const long n = ftell(f);
    REQUIRE(n >= 0 && fseek(f, 0, SEEK_SET) == 0);
    unsigned char *p = malloc((size_t)n + 1);
    REQUIRE(p != NULL && fread(p, 1, (size_t)n, f) == (size_t)n);
    p[n] = 0;
    fclose(f);
    *size = (size_t)n;
    return p;
}

const void *host_golden(const unsigned char *file, const char *name, size_t *bytes)
{
    uint64_t header;
    char key[80];
    unsigned long long from = 0, to = 0;
    memcpy(&header, file, 8);
    char *text = malloc((size_t)header + 1);
    REQUIRE(text != NULL);
    memcpy(text, file + 8, (size_t)header);
    text[header] = 0;
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    REQUIRE(at != NULL);
    at = strstr(at, "\"data_offsets\":");
    REQUIRE(at != NULL && sscanf(strchr(at, '['), "[%llu,%llu]", &from, &to) == 2);
    free(text);
    *bytes = (size_t)(to - from);
    return file + 8 + header + from;
}
