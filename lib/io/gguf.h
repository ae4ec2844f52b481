/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF files, version 2 and 3, little endian, split over several files or not. Opening reads and
 * checks everything in front of the tensors' bytes: types and sizes that this interface gives are
 * true of any file, whoever wrote it. The rules are listed in docs/formats.md. */
#ifndef RMR_GGUF_H
#define RMR_GGUF_H

#include "checkpoint.h"

typedef enum rmr_gguf_type {
    RMR_GGUF_U8,
    RMR_GGUF_I8,
    RMR_GGUF_U16,
    RMR_GGUF_I16,
    RMR_GGUF_U32,
    RMR_GGUF_I32,
    RMR_GGUF_F32,
    RMR_GGUF_BOOL,
    RMR_GGUF_STRING,
    RMR_GGUF_ARRAY,
    RMR_GGUF_U64,
    RMR_GGUF_I64,
    RMR_GGUF_F64,
    RMR_GGUF_TYPE_COUNT
} rmr_gguf_type;

/* The metadata of a model: the first file's. Holds the text of its header, tokens and merges
 * included, and is dropped when the model is open. */
typedef struct rmr_gguf rmr_gguf;

/* Bytes of a string, in the header's text: not NUL-terminated, any encoding, NUL included. */
typedef struct rmr_gguf_text {
    const char *text;
    size_t size;
} rmr_gguf_text;

/* An array that is walked where it lies. */
typedef struct rmr_gguf_list {
    rmr_gguf_type type; /* of its elements; no arrays */
    uint64_t left;
    const unsigned char *next;
} rmr_gguf_list;

/* The GGUF file that the source means, into name, or "" when it means none: the file it was opened
 * on if that begins like one or is called .gguf; in a folder without config.json, the only model
 * there (parts of a split one count once). E_FORMAT when there are several. */
remora_status rmr_find_gguf_file(rmr_source *src, char name[RMR_MAX_NAME + 1], remora_error *err);

/* Open a file and, when it is one of "-00001-of-0000N.gguf", all of them. The checkpoint keeps the
 * files open; neither result needs the other or `src`. With `keep` (else NULL) parts that are not
 * there, types that are not read and tensors behind the end of a file are kept, and the rest is
 * given: for listing alone. */
remora_status rmr_gguf_open(rmr_mem *mem, rmr_source *src, const char *name, rmr_refusals *keep,
                            rmr_gguf **out, rmr_checkpoint **tensors, remora_error *err);
void rmr_gguf_free(rmr_gguf *g);

/* The first file's name, fit for messages. */
const char *rmr_gguf_name(const rmr_gguf *g);

int rmr_gguf_has(const rmr_gguf *g, const char *key);

/* Values by key. Absent gives `fallback` (a string of size 0, an empty list); another type or a
 * value out of range is E_FORMAT naming file and key. Integers may be of any width and sign. */
remora_status rmr_gguf_u32(const rmr_gguf *g, const char *key, uint32_t min, uint32_t max,
                           uint32_t fallback, uint32_t *out, remora_error *err);
remora_status rmr_gguf_number(const rmr_gguf *g, const char *key, double fallback, double *out,
                              remora_error *err);
remora_status rmr_gguf_bool(const rmr_gguf *g, const char *key, int fallback, int *out,
                            remora_error *err);
remora_status rmr_gguf_string(const rmr_gguf *g, const char *key, rmr_gguf_text *out,
                              remora_error *err);
remora_status rmr_gguf_array(const rmr_gguf *g, const char *key, rmr_gguf_type type,
                             rmr_gguf_list *out, remora_error *err);

/* Take the next element; the list must not be empty. */
rmr_gguf_text rmr_gguf_next_text(rmr_gguf_list *l);
int64_t rmr_gguf_next_int(rmr_gguf_list *l); /* I32 */

/* The scalars in order of their keys, for display. */
typedef struct rmr_gguf_item {
    rmr_gguf_text key;
    rmr_gguf_type type;
    rmr_gguf_text text; /* STRING */
    double number;      /* the value of other types, rounded; 0 for arrays */
    uint64_t integer;   /* the bits of an integer, sign extended */
} rmr_gguf_item;

/* 1 for integer types that have a sign. */
int rmr_gguf_is_signed(rmr_gguf_type t);

size_t rmr_gguf_count(const rmr_gguf *g);
rmr_gguf_item rmr_gguf_at(const rmr_gguf *g, size_t i);

#endif
