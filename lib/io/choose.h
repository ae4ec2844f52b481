/* Which file of a source is meant, where a model can be one file of a kind (GGUF, pack). */
#ifndef RMR_CHOOSE_H
#define RMR_CHOOSE_H

#include "source.h"

enum { RMR_CHOOSE_MAGIC = 16 };

typedef struct rmr_file_kind {
    const char *what;   /* for messages: "GGUF" */
    const char *suffix; /* ".gguf" */
    const char *magic;  /* how such files begin; at most RMR_CHOOSE_MAGIC bytes */
    size_t n_magic;
    int (*counts)(const char *name); /* whether a file of a folder is a model; NULL: all are */
} rmr_file_kind;

/* The name of the file of that kind that the source means, or "" when it means none: the file it
 * was opened on if that begins like one or has the suffix; of a folder without config.json, the
 * only model there. E_FORMAT when there are several. */
remora_status rmr_source_choose(rmr_source *src, const rmr_file_kind *kind,
                                char name[RMR_MAX_NAME + 1], remora_error *err);

#endif
