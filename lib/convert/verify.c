/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include "pack.h"
#include "selftest.h"

/* Verify the checksums, and read the stored answer: NULL when there is none. */
static remora_status check_file(remora_runtime *rt, rmr_mem *mem, const remora_source *src,
                                const remora_verify_opts *o, remora_verify_report *out,
                                json_t **answer, remora_error *err)
{
    const rmr_job_host host = {rt->ctx.pool, o->cancel, o->progress_user, o->progress};
    rmr_pack *pack;
    remora_status st = rmr_pack_open_source(mem, src, &pack, err);
    if (st >= 0) {
        *answer = json_incref(json_object_get(rmr_pack_manifest(pack), "self_test"));
        st = rmr_pack_verify(pack, &host, err);
    }
    out->checksums = st;
    rmr_pack_free(pack);
    return st;
}

static remora_status run_answer(remora_runtime *rt, const remora_source *src,
                                const remora_verify_opts *o, const json_t *answer,
                                remora_verify_report *out, remora_error *err)
{
    const remora_model_opts opts = {.struct_size = sizeof opts, .cancel = o->cancel};
    remora_model *m = NULL;
    rmr_selftest stored, now;
    int exact = 0;
    remora_status st = rmr_selftest_parse(answer, &stored, err);
    if (st >= 0) st = rmr_model_open(rt, src, &opts, &m, err);
    if (st >= 0) st = rmr_selftest_run(m, &stored, o->cancel, &now, err);
    if (st >= 0) st = rmr_selftest_compare(&stored, &now, &exact, err);
    rmr_model_unref(m);
    out->self_test = st;
    out->exact = exact;
    return st;
}

remora_status rmr_verify(remora_runtime *rt, const remora_source *src, const remora_verify_opts *o,
                         remora_verify_report *out, remora_error *err)
{
    rmr_mem mem;
    json_t *answer = NULL;
    rmr_mem_share(&mem, &rt->ctx.mem, NULL);
    *out = (remora_verify_report){.struct_size = sizeof *out,
                                  .checksums = REMORA_E_UNSUPPORTED,
                                  .self_test = REMORA_E_NOT_FOUND};
    remora_status st = check_file(rt, &mem, src, o, out, &answer, err);
    if (st >= 0 && answer != NULL) st = run_answer(rt, src, o, answer, out, err);
    json_decref(answer);
    return st;
}
