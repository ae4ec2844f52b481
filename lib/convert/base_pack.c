/* SPDX-License-Identifier: Apache-2.0 */
#include "base_pack.h"

#include <string.h>

#include "fpenv.h"
#include "sha256.h"

/* The checksum of the values in F32. */
static remora_status sum_vector(rmr_reader *from, const rmr_weight_plan_item *it, uint8_t sum[32],
                                remora_error *err)
{
    const rmr_weight_desc *d = &it->desc;
    const void *row;
    rmr_sha256 h;
    rmr_sha256_init(&h);
    RMR_TRY(from->from->format->read_rows(from, it, 0, 0, 1, &row, err));
    const rmr_fpenv own = rmr_fpenv_enter();
    for (uint32_t i = 0; i < d->cols; i++) {
        float value;
        rmr_row_decode(d->elem, &value, (const unsigned char *)row + i * rmr_row_bytes(d->elem, 1),
                       1);
        rmr_sha256_add(&h, &value, sizeof value);
    }
    rmr_fpenv_leave(own);
    rmr_sha256_end(&h, sum);
    return REMORA_OK;
}

remora_status rmr_base_pack_check(const rmr_pack *base, const rmr_pack_tensor *t, rmr_reader *from,
                                  const rmr_weight_plan_item *it, remora_error *err)
{
    const rmr_weight_desc *d = &it->desc;
    uint8_t sum[32];
    if (t->count != d->count || t->rows != d->rows || t->cols != d->cols)
        RMR_FAIL(err, REMORA_E_MISMATCH, "%s: %s is %u of [%u,%u], the model has %u of [%u,%u]",
                 rmr_show(rmr_pack_file(base)).text, it->name, t->count, t->rows, t->cols, d->count,
                 d->rows, d->cols);
    if (d->use != RMR_USE_VECTOR) return REMORA_OK;
    RMR_TRY(sum_vector(from, it, sum, err));
    if (memcmp(sum, t->sha256, sizeof sum) != 0)
        RMR_FAIL(err, REMORA_E_MISMATCH, "%s: %s has other values than the model's",
                 rmr_show(rmr_pack_file(base)).text, it->name);
    return REMORA_OK;
}

typedef struct copier {
    const rmr_pack *base;
    const rmr_copy *copies;
    rmr_mem *mem;
    rmr_pack_writer *to;
    rmr_job job;
} copier;

static remora_status copy_weight(copier *c, const rmr_copy *w, rmr_pack_reader *r,
                                 unsigned char *buf, remora_error *err)
{
    const rmr_pack_tensor *t = w->from;
    uint8_t sum[32];
    rmr_sha256 h;
    rmr_sha256_init(&h);
    for (uint64_t i = 0; i < rmr_pack_chunks(t); i++) {
        const uint32_t n = rmr_pack_chunk_bytes(t, i);
        RMR_TRY(rmr_pack_read_chunk(r, t, i, buf, err));
        rmr_sha256_add(&h, buf, n);
        RMR_TRY(rmr_pack_writer_write(c->to, w->to, i * RMR_PACK_CHUNK, buf, n, err));
        RMR_TRY(rmr_job_step(&c->job, n));
    }
    rmr_sha256_end(&h, sum);
    if (memcmp(sum, t->sha256, sizeof sum) != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s is damaged: its checksum differs",
                 rmr_show(rmr_pack_file(c->base)).text, rmr_show(t->name).text);
    return REMORA_OK;
}

static void copy_one(void *arg, uint32_t i, uint32_t worker)
{
    copier *c = arg;
    remora_error e = {.struct_size = sizeof e};
    rmr_pack_reader *r = NULL;
    unsigned char *buf = NULL;
    (void)worker;
    remora_status st = rmr_job_step(&c->job, 0);
    if (st < 0) return;
    st = rmr_pack_reader_create(c->base, c->mem, &r, &e);
    if (st >= 0) {
        buf = rmr_alloc(c->mem, RMR_PACK_CHUNK);
        if (buf == NULL) st = rmr_error_nomem(&e, "copying", RMR_PACK_CHUNK);
    }
    if (st >= 0) st = copy_weight(c, &c->copies[i], r, buf, &e);
    if (st < 0) rmr_job_fail(&c->job, st, &e);
    rmr_free(c->mem, buf, RMR_PACK_CHUNK);
    rmr_pack_reader_free(r);
}

remora_status rmr_base_pack_copy(const rmr_pack *base, const rmr_copy *copies, uint32_t n,
                                 rmr_mem *mem, rmr_pack_writer *to, const rmr_job_host *host,
                                 remora_error *err)
{
    copier c = {.base = base, .copies = copies, .mem = mem, .to = to};
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++) total += copies[i].from->bytes;
    rmr_job_begin(&c.job, host, "converting", total, err);
    rmr_pool_run_hooks(host->pool, n, copy_one, &c);
    return rmr_job_end(&c.job);
}
