/* SPDX-License-Identifier: Apache-2.0 */
#include "format_npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint_build.h"
#include "find_tensor.h"
#include "read_rows.h"

#define SUFFIX ".npy"

/* ---- opening ---- */

static remora_status probe(rmr_source *src, char name[RMR_MAX_NAME + 1], remora_error *err)
{
    rmr_file *f;
    (void)err;
    if (rmr_file_open(src, "model.embed_tokens.weight" SUFFIX, &f, NULL) < 0) return REMORA_OK;
    rmr_file_close(f);
    snprintf(name, RMR_MAX_NAME + 1, "config.json");
    return REMORA_OK;
}

static remora_status open_npy(rmr_origin *o, const char *name, remora_error *err)
{
    (void)err;
    snprintf(o->file, sizeof o->file, "%s", name);
    ((rmr_checkpoint_origin *)o)->means = "config.json means";
    return REMORA_OK;
}

/* Configuration and tokenizer are those of other folders. */
static remora_status config(rmr_origin *o, json_t **out, remora_error *err)
{
    return rmr_format_hf.config(o, out, err);
}

static remora_status tokenizer(rmr_origin *o, uint32_t n_vocab, rmr_tokenizer **out,
                               remora_error *err)
{
    return rmr_format_hf.tokenizer(o, n_vocab, out, err);
}

/* ---- the table of tensors ---- */

typedef struct table {
    rmr_origin *o;
    rmr_checkpoint *ck;
    size_t n, name_bytes; /* counted first */
    int counting;
    remora_status st;
    remora_error *err;
} table;

static rmr_dtype dtype_of(const char *header)
{
    static const struct {
        const char *descr;
        rmr_dtype dtype;
    } known[] = {{"'<V2'", RMR_DTYPE_BF16}, {"'<f2'", RMR_DTYPE_F16}, {"'<f4'", RMR_DTYPE_F32}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(header, known[i].descr) != NULL) return known[i].dtype;
    return RMR_DTYPE_COUNT;
}

/* The ten bytes in front of the header, and the header: a Python dict. */
static remora_status read_header(const rmr_file *f, rmr_tensor *t, remora_error *err)
{
    unsigned char front[10];
    char header[512] = "";
    RMR_TRY(rmr_file_read(f, 0, front, sizeof front, err));
    const size_t n = front[8] | (size_t)front[9] << 8;
    if (memcmp(front, "\x93NUMPY\x01", 7) == 0 && n < sizeof header)
        RMR_TRY(rmr_file_read(f, sizeof front, header, n, err));
    const char *at = strstr(header, "'shape': (");
    t->dtype = dtype_of(header);
    if (at == NULL || t->dtype == RMR_DTYPE_COUNT)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: is no array of BF16, F16 or F32", rmr_file_name(f));
    t->bytes = rmr_dtype_size(t->dtype);
    for (at += strlen("'shape': ("); *at != ')' && t->n_dims < RMR_MAX_DIMS; at++) {
        char *end;
        t->dims[t->n_dims] = strtoull(at, &end, 10);
        if (end == at) continue; /* a comma or a blank */
        t->bytes *= t->dims[t->n_dims++];
        at = end - 1;
    }
    t->offset = sizeof front + n;
    if (rmr_file_size(f) != t->offset + t->bytes)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: has another size than its shape means",
                 rmr_file_name(f));
    return REMORA_OK;
}

static remora_status add(table *x, const char *name, size_t n)
{
    rmr_checkpoint *ck = x->ck;
    RMR_TRY(rmr_build_add_file(ck, x->o->src, "the folder", name, ck->n_files, x->err));
    const rmr_file *f = ck->files[ck->n_files - 1];
    memcpy(ck->names + ck->names_used, name, n);
    ck->names[ck->names_used + n] = 0;
    return read_header(f, rmr_build_add(ck, n, f), x->err);
}

static int each_file(void *user, const char *name)
{
    table *x = user;
    const size_t all = strlen(name), suffix = strlen(SUFFIX);
    if (all <= suffix || strcmp(name + all - suffix, SUFFIX) != 0) return 0;
    if (x->counting) {
        x->n++;
        x->name_bytes += all - suffix + 1;
        return 0;
    }
    x->st = add(x, name, all - suffix);
    return x->st < 0;
}

static remora_status open_tensors(rmr_origin *o, remora_error *err)
{
    rmr_checkpoint_origin *c = (rmr_checkpoint_origin *)o;
    table x = {.o = o, .counting = 1, .err = err};
    x.ck = c->ck = rmr_build_create(o->mem);
    if (c->ck == NULL) return rmr_error_nomem(err, "arrays", 0);
    RMR_TRY(rmr_source_list(o->src, each_file, &x, err));
    RMR_TRY(rmr_build_room(c->ck, x.n, x.name_bytes, err));
    x.counting = 0;
    RMR_TRY(rmr_source_list(o->src, each_file, &x, err));
    RMR_TRY(x.st);
    RMR_TRY(rmr_build_sort(c->ck, "the folder", err));
    return rmr_checkpoint_origin_begin(c, err);
}

/* ---- finding ---- */

/* "<name>.weight" or, for a bias, the name. */
static const rmr_tensor *look(rmr_origin *o, const char *name)
{
    char full[RMR_NAMES_MAX];
    const rmr_checkpoint *ck = ((rmr_checkpoint_origin *)o)->ck;
    snprintf(full, sizeof full, "%s.weight", name);
    const rmr_tensor *t = rmr_checkpoint_find(ck, full);
    return t != NULL ? t : rmr_checkpoint_find(ck, name);
}

static int has(rmr_origin *o, const char *name)
{
    return look(o, name) != NULL;
}

static remora_status find(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err)
{
    const rmr_tensor *t = look(o, it->name);
    if (t == NULL) return rmr_find_missing(it->name, it->name, err);
    return rmr_find_plain((rmr_checkpoint_origin *)o, t, it, err);
}

const rmr_format format_npy = {.name = "folder of arrays",
                               .bytes = sizeof(rmr_checkpoint_origin),
                               .probe = probe,
                               .open = open_npy,
                               .free = rmr_checkpoint_origin_free,
                               .config = config,
                               .tokenizer = tokenizer,
                               .open_tensors = open_tensors,
                               .list_tensors = rmr_checkpoint_origin_list,
                               .has = has,
                               .find = find,
                               .tensor = rmr_checkpoint_origin_tensor,
                               .data = rmr_checkpoint_origin_data,
                               .hold = rmr_checkpoint_origin_hold,
                               .unchanged = rmr_checkpoint_origin_unchanged,
                               .span = rmr_read_rows_span,
                               .read = rmr_read_rows_portion,
                               .read_rows = rmr_read_rows,
                               .settle = rmr_checkpoint_origin_settle};
