/* SPDX-License-Identifier: Apache-2.0 */
#include "ggufw.h"

#include <stdlib.h>
#include <string.h>

void ggufw_bytes(ggufw *w, const void *p, size_t n)
{
    if (w->n + n > w->cap) {
        w->cap = 2 * (w->n + n);
        w->data = realloc(w->data, w->cap);
        if (w->data == NULL) abort();
    }
    if (n > 0) memcpy(w->data + w->n, p, n);
    w->n += n;
}

void ggufw_int(ggufw *w, uint64_t v, int bytes)
{
    unsigned char b[8];
    for (int i = 0; i < 8; i++) b[i] = (unsigned char)(v >> (8 * i));
    ggufw_bytes(w, b, (size_t)bytes);
}

void ggufw_text(ggufw *w, const char *s)
{
    ggufw_int(w, strlen(s), 8);
    ggufw_bytes(w, s, strlen(s));
}

void ggufw_poke(ggufw *w, size_t at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) w->data[at + (size_t)i] = (unsigned char)(v >> (8 * i));
}

void ggufw_begin(ggufw *w, uint32_t version)
{
    memset(w, 0, sizeof *w);
    ggufw_bytes(w, "GGUF", 4);
    ggufw_int(w, version, 4);
    ggufw_int(w, 0, 8);
    ggufw_int(w, 0, 8);
}

void ggufw_free(ggufw *w)
{
    free(w->data);
    memset(w, 0, sizeof *w);
}

void ggufw_key(ggufw *w, const char *key, uint32_t type)
{
    ggufw_poke(w, GGUFW_KEYS_AT, ++w->n_keys, 8);
    ggufw_text(w, key);
    ggufw_int(w, type, 4);
}

void ggufw_u32(ggufw *w, const char *key, uint32_t v)
{
    ggufw_key(w, key, 4);
    ggufw_int(w, v, 4);
}

void ggufw_f32(ggufw *w, const char *key, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    ggufw_key(w, key, 6);
    ggufw_int(w, bits, 4);
}

void ggufw_bool(ggufw *w, const char *key, int v)
{
    ggufw_key(w, key, 7);
    ggufw_int(w, (uint64_t)v, 1);
}

void ggufw_string(ggufw *w, const char *key, const char *v)
{
    ggufw_key(w, key, 8);
    ggufw_text(w, v);
}

void ggufw_array(ggufw *w, const char *key, uint32_t type, uint64_t n)
{
    ggufw_key(w, key, 9);
    ggufw_int(w, type, 4);
    ggufw_int(w, n, 8);
}

void ggufw_tensor(ggufw *w, const char *name, uint32_t type, uint32_t n_dims, const uint64_t *dims,
                  uint64_t offset)
{
    ggufw_poke(w, GGUFW_TENSORS_AT, ++w->n_tensors, 8);
    ggufw_text(w, name);
    ggufw_int(w, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++) ggufw_int(w, dims[i], 8);
    ggufw_int(w, type, 4);
    ggufw_int(w, offset, 8);
}

void ggufw_align(ggufw *w, size_t align)
{
    while (w->n % align != 0) ggufw_bytes(w, "", 1);
}
