/* SPDX-License-Identifier: Apache-2.0 */
/* Packs: convert, recipes, verify. */
#include "checks.h"
#include "convert.h"
#include "recipe.h"
#include "runtime.h"
#include "verify.h"

static remora_status convert(remora_runtime *rt, const remora_source *src, const char *path,
                             const remora_convert_opts *opts, remora_error *err)
{
    remora_runtime *own;
    RMR_NEED(path != NULL, err, "path is NULL");
    RMR_IN(remora_convert_opts, o, opts, err);
    if (o.flags & ~(uint32_t)REMORA_CONVERT_NO_SELF_TEST)
        RMR_FAIL(err, REMORA_E_STRUCT, "convert flags 0x%x are not known", o.flags);
    if (o.reserved != 0)
        RMR_FAIL(err, REMORA_E_STRUCT, "convert options: reserved is %u, it must be 0", o.reserved);
    RMR_NEED(o.zstd_level >= 0 && o.zstd_level <= 22, err, "zstd_level is not in 0..22");
    RMR_TRY(rmr_api_runtime(rt, &own, err));
    const remora_status st = rmr_convert(own, src, path, &o, err);
    rmr_runtime_unref(own);
    return st;
}

remora_status remora_convert(remora_runtime *rt, const remora_source *src, const char *path,
                             const remora_convert_opts *opts, remora_error *err)
{
    remora_source s;
    remora_status st = rmr_api_source(src, &s, err);
    if (st >= 0) st = convert(rt, &s, path, opts, err);
    rmr_release_call(rmr_api_source_release(&s));
    return st;
}

remora_status remora_recipe_get(uint32_t i, const char **name, const char **yaml, remora_error *err)
{
    RMR_NEED(name != NULL, err, "name is NULL");
    const char *found = rmr_recipe_builtin(i, yaml);
    if (found == NULL)
        RMR_FAIL(err, REMORA_E_NOT_FOUND, "recipe %u is past the last built-in one", i);
    *name = found;
    return REMORA_OK;
}

static remora_status verify(remora_runtime *rt, const remora_source *src,
                            const remora_verify_opts *opts, remora_verify_report *out,
                            remora_error *err)
{
    remora_runtime *own;
    remora_verify_report report = {.struct_size = sizeof report};
    RMR_IN(remora_verify_opts, o, opts, err);
    if (o.flags != 0) RMR_FAIL(err, REMORA_E_STRUCT, "verify flags 0x%x are not known", o.flags);
    RMR_TRY(rmr_api_runtime(rt, &own, err));
    const remora_status st = rmr_verify(own, src, &o, &report, err);
    rmr_runtime_unref(own);
    if (out == NULL) return st;
    RMR_TRY(RMR_OUT(remora_verify_report, out, report, err));
    return st;
}

remora_status remora_verify(remora_runtime *rt, const remora_source *src,
                            const remora_verify_opts *opts, remora_verify_report *out,
                            remora_error *err)
{
    remora_source s;
    remora_status st = rmr_api_source(src, &s, err);
    if (st >= 0) st = verify(rt, &s, opts, out, err);
    rmr_release_call(rmr_api_source_release(&s));
    return st;
}
