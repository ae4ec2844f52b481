/* SPDX-License-Identifier: Apache-2.0 */
/* Fill in the middle: a thin face of lib/chat. */
#include "fim.h"

#include <string.h>

#include "checks.h"
#include "model.h"

enum { MOST_FILES = 65536 };

static remora_status need_tokenizer(const remora_model *m, remora_error *err)
{
    if (m->tok == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "fill in the middle needs a tokenizer; the model has "
                 "none that this build can use");
    return REMORA_OK;
}

static int is_whole(remora_text t)
{
    return t.ptr != NULL || t.len == 0;
}

static remora_status check_opts(const remora_fim_opts *o, remora_error *err)
{
    if (o->flags & ~(uint32_t)REMORA_FIM_HEAL)
        RMR_FAIL(err, REMORA_E_STRUCT, "remora_fim_opts.flags 0x%x are not known; 0x%x are",
                 o->flags, REMORA_FIM_HEAL);
    RMR_NEED(is_whole(o->repo) && is_whole(o->path), err, "repo or path is NULL");
    RMR_NEED(o->files != NULL || o->n_files == 0, err, "files is NULL");
    if (o->n_files > MOST_FILES)
        RMR_FAIL(err, REMORA_E_ARG, "remora_fim_opts.n_files is %llu; at most %d are supported",
                 (unsigned long long)o->n_files, MOST_FILES);
    for (uint64_t i = 0; i < o->n_files; i++)
        if (!is_whole(o->files[i].path) || !is_whole(o->files[i].text))
            RMR_FAIL(err, REMORA_E_ARG, "file %llu: path or text is NULL", (unsigned long long)i);
    return REMORA_OK;
}

static remora_status fill(const remora_model *m, const rmr_fim_ask *ask, remora_token *out,
                          size_t cap, size_t *n, remora_fim_info *info, remora_error *err)
{
    rmr_mem *mem = (rmr_mem *)&m->mem; /* counts, and is safe from any thread */
    remora_fim_info made = {0};
    rmr_fim_tokens l = {0};
    remora_status st = rmr_fim(m->tok, mem, ask, &l, &made, err);
    if (st >= 0 && info != NULL) st = RMR_OUT(remora_fim_info, info, made, err);
    if (st >= 0) {
        *n = l.n;
        st = rmr_api_room("out", cap, l.n, err);
    }
    if (st >= 0 && l.n > 0) memcpy(out, l.ids, l.n * sizeof *l.ids);
    rmr_fim_free(mem, &l);
    return st;
}

remora_status remora_fim(const remora_model *m, const char *prefix, size_t n_prefix,
                         const char *suffix, size_t n_suffix, const remora_fim_opts *given,
                         remora_token *out, size_t cap, size_t *n, remora_fim_info *info,
                         remora_error *err)
{
    RMR_NEED(m != NULL && n != NULL, err, "model or n is NULL");
    RMR_NEED(prefix != NULL || n_prefix == 0, err, "prefix is NULL");
    RMR_NEED(suffix != NULL || n_suffix == 0, err, "suffix is NULL");
    RMR_NEED(out != NULL || cap == 0, err, "out is NULL");
    RMR_IN(remora_fim_opts, o, given, err);
    RMR_TRY(check_opts(&o, err));
    RMR_TRY(need_tokenizer(m, err));
    const rmr_fim_ask ask = {prefix, suffix, n_prefix, n_suffix, &o};
    return fill(m, &ask, out, cap, n, info, err);
}

remora_status remora_fim_stop(const remora_model *m, uint32_t i, remora_text *out,
                              remora_error *err)
{
    RMR_NEED(m != NULL && out != NULL, err, "model or out is NULL");
    RMR_TRY(need_tokenizer(m, err));
    const char *name = rmr_fim_stop(m->tok, i);
    if (name == NULL) RMR_FAIL(err, REMORA_E_NOT_FOUND, "there is no marker %u", i);
    *out = (remora_text){name, strlen(name)};
    return REMORA_OK;
}
