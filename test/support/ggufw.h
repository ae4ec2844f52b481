/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files in memory, right or wrong in any one place: keys first, then tensors' entries, then
 * bytes. The counts in front follow what was added unless they are set afterwards. */
#ifndef GGUFW_H
#define GGUFW_H

#include <stddef.h>
#include <stdint.h>

typedef struct ggufw {
    unsigned char *data;
    size_t n, cap;
    uint64_t n_tensors, n_keys;
} ggufw;

enum { GGUFW_TENSORS_AT = 8, GGUFW_KEYS_AT = 16 }; /* where the counts are */

void ggufw_begin(ggufw *w, uint32_t version);
void ggufw_free(ggufw *w);

/* Raw pieces. */
void ggufw_bytes(ggufw *w, const void *p, size_t n);
void ggufw_int(ggufw *w, uint64_t v, int bytes);
void ggufw_text(ggufw *w, const char *s); /* with its length */
void ggufw_poke(ggufw *w, size_t at, uint64_t v, int bytes);

/* A key and its type; the value is the caller's to add. */
void ggufw_key(ggufw *w, const char *key, uint32_t type);

void ggufw_u32(ggufw *w, const char *key, uint32_t v);
void ggufw_f32(ggufw *w, const char *key, float v);
void ggufw_bool(ggufw *w, const char *key, int v);
void ggufw_string(ggufw *w, const char *key, const char *v);
void ggufw_array(ggufw *w, const char *key, uint32_t type, uint64_t n); /* elements follow */

/* A tensor's entry; dims in the file's order, the fastest first. */
void ggufw_tensor(ggufw *w, const char *name, uint32_t type, uint32_t n_dims, const uint64_t *dims,
                  uint64_t offset);

/* Zeros up to the next multiple. */
void ggufw_align(ggufw *w, size_t align);

#endif
