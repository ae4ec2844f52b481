/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing the file of a source that is the model, for the kinds where a model can be one file
 * (GGUF, pack). */
#ifndef RMR_FIND_MODEL_FILE_H
#define RMR_FIND_MODEL_FILE_H

#include "source.h"

enum { RMR_CHOOSE_MAGIC = 16 };

typedef struct rmr_file_kind {
    const char *what;   /* for messages: "GGUF" */
    const char *suffix; /* ".gguf" */
    const char *magic;  /* the first bytes of such files; at most RMR_CHOOSE_MAGIC */
    size_t n_magic;
    int (*counts)(const char *name); /* 1 when the file of that name is a model; NULL: all are */
} rmr_file_kind;

/* The name of the file of that kind that the source means, or "" when it means none: the file it
 * was opened on if that begins like one or has the suffix; of a folder without config.json, the
 * only model there. E_FORMAT when there are several. */
remora_status rmr_find_model_file(rmr_source *src, const rmr_file_kind *kind,
                                  char name[RMR_MAX_NAME + 1], remora_error *err);

#endif
