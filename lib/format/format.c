/* SPDX-License-Identifier: Apache-2.0 */
#include "format.h"

const rmr_format *const rmr_formats[] = {&rmr_format_pack, &rmr_format_gguf, &rmr_format_hf, NULL};

static remora_status open_in(const rmr_format *f, const char *name, rmr_origin *given,
                             rmr_origin **out, remora_error *err)
{
    rmr_origin *o = rmr_calloc(given->mem, 1, f->bytes);
    if (o == NULL) return rmr_error_nomem(err, "files of the model", f->bytes);
    *o = *given;
    o->format = f;
    const remora_status st = f->open(o, name, err);
    if (st >= 0)
        *out = o;
    else
        rmr_origin_free(o);
    return st;
}

remora_status rmr_origin_open(const rmr_format *const *formats, rmr_mem *mem, rmr_source *src,
                              rmr_refusals *keep, rmr_origin **out, remora_error *err)
{
    rmr_origin given = {.mem = mem, .src = src, .json = {.mem = mem, .src = src}, .keep = keep};
    *out = NULL;
    for (; *formats != NULL; formats++) {
        char name[RMR_MAX_NAME + 1] = "";
        RMR_TRY((*formats)->probe(src, name, err));
        if (name[0] != 0) return open_in(*formats, name, &given, out, err);
    }
    RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: is of no format that is read here",
             rmr_show(rmr_source_where(src)).text);
}

void rmr_origin_settle(rmr_origin *o)
{
    o->format->settle(o);
    rmr_json_files_drop(&o->json);
    o->src = NULL;
    o->keep = NULL;
    o->name = NULL;
}

void rmr_origin_free(rmr_origin *o)
{
    if (o == NULL) return;
    o->format->free(o);
    rmr_json_files_drop(&o->json);
    rmr_free(o->mem, o, o->format->bytes);
}

remora_status rmr_reader_room(rmr_reader *r, uint64_t n, unsigned char **out, remora_error *err)
{
    rmr_mem *mem = r->from->mem;
    if (r->size < n) {
        rmr_free(mem, r->room, (size_t)r->size);
        r->room = rmr_alloc(mem, (size_t)n);
        r->size = r->room != NULL ? n : 0;
        if (r->room == NULL) return rmr_error_nomem(err, "load staging", n);
    }
    *out = r->room;
    return REMORA_OK;
}

void rmr_reader_end(rmr_reader *r)
{
    if (r->from == NULL) return;
    if (r->own != NULL) r->free_own(r->own);
    rmr_free(r->from->mem, r->room, (size_t)r->size);
    *r = (rmr_reader){0};
}
