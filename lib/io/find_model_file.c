/* SPDX-License-Identifier: Apache-2.0 */
#include "find_model_file.h"

#include <string.h>

typedef struct choice {
    const rmr_file_kind *kind;
    char name[RMR_MAX_NAME + 1];
    unsigned n;
} choice;

static int has_suffix(const rmr_file_kind *kind, const char *name)
{
    const size_t n = strlen(name), suffix = strlen(kind->suffix);
    return n > suffix && n <= RMR_MAX_NAME && strcmp(name + n - suffix, kind->suffix) == 0;
}

static int consider(void *user, const char *name)
{
    choice *c = user;
    if (!has_suffix(c->kind, name) || (c->kind->counts != NULL && !c->kind->counts(name))) return 0;
    if (c->n++ == 0 || strcmp(name, c->name) < 0) memcpy(c->name, name, strlen(name) + 1);
    return 0;
}

/* Open a file that need not be there: NULL when it is not. */
static remora_status open_if_there(rmr_source *src, const char *name, rmr_file **f,
                                   remora_error *err)
{
    remora_error why = {.struct_size = sizeof why}; /* err stays clean */
    const remora_status st = rmr_file_open(src, name, f, &why);
    if (st >= 0 || st == REMORA_E_NOT_FOUND) return REMORA_OK;
    return rmr_error_set(err, st, why.os_code, "%s", why.message);
}

/* *yes = 1 when the file that the source names is of this kind, by its suffix or by its first
 * bytes. */
static remora_status is_one(rmr_source *src, const rmr_file_kind *kind, const char *name, int *yes,
                            remora_error *err)
{
    rmr_file *f;
    char head[RMR_CHOOSE_MAGIC] = {0};
    *yes = has_suffix(kind, name);
    if (*yes) return REMORA_OK;
    RMR_TRY(open_if_there(src, name, &f, err));
    if (f == NULL) return REMORA_OK;
    const remora_status st = rmr_file_size(f) < kind->n_magic
                                 ? REMORA_OK
                                 : rmr_file_read(f, 0, head, kind->n_magic, err);
    *yes = memcmp(head, kind->magic, kind->n_magic) == 0;
    rmr_file_close(f);
    return st;
}

remora_status rmr_find_model_file(rmr_source *src, const rmr_file_kind *kind,
                                  char name[RMR_MAX_NAME + 1], remora_error *err)
{
    const char *file = rmr_source_file(src);
    choice c = {.kind = kind};
    rmr_file *config;
    int yes;
    name[0] = 0;
    if (file != NULL) {
        RMR_TRY(is_one(src, kind, file, &yes, err));
        if (yes) memcpy(name, file, strlen(file) + 1);
        return REMORA_OK; /* a file of another kind: its neighbours do not replace it */
    }
    RMR_TRY(open_if_there(src, "config.json", &config, err));
    rmr_file_close(config);
    if (config != NULL) return REMORA_OK;
    RMR_TRY(rmr_source_list(src, consider, &c, err));
    if (c.n > 1)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: %u %s models (the first is %s) and no config.json: open one by its name",
                 rmr_show(rmr_source_where(src)).text, c.n, kind->what, rmr_show(c.name).text);
    memcpy(name, c.name, sizeof c.name);
    return REMORA_OK;
}
