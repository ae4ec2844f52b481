/* SPDX-License-Identifier: Apache-2.0 */
/* Golden outputs: golden.safetensors and golden.json of a model folder, whole in memory. A reader
 * of its own, so that a bug in the library's reader cannot hide behind itself. */
#ifndef GOLDENS_H
#define GOLDENS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

typedef struct goldens {
    unsigned char *file; /* golden.safetensors */
    size_t size;
    const unsigned char *data; /* after the header */
    json_t *header;
    json_t *json; /* golden.json */
} goldens;

/* "<folder of models>/<name>" into buf, or NULL when REMORA_MODELS is not set or has no such
 * folder. */
const char *goldens_folder(const char *name, char *buf, size_t cap);

/* 0 when both files were read and the header parsed. */
int goldens_open(goldens *g, const char *folder);
void goldens_close(goldens *g);

/* Elements of a tensor and their number; NULL when there is none of that name and type. */
const float *goldens_f32(const goldens *g, const char *name, size_t *n);
const int32_t *goldens_i32(const goldens *g, const char *name, size_t *n);

/* Whole file, NUL after it; free() it. NULL when it cannot be read. */
void *goldens_read_file(const char *folder, const char *name, size_t *size);

#endif
