/* SPDX-License-Identifier: Apache-2.0 */
/* The door of libremora-cuda.so: it opens the driver and makes a backend for each GPU. */
#include <string.h>

#include "create.h"
#include "handshake.h"
#include "image.h"

typedef struct gpus {
    rmr_ctx *ctx;
    rmr_cu_driver driver;
    rmr_cuda_options options; /* of all */
} gpus;

/* Words with spaces between them. */
static remora_status read_options(const char *words, rmr_cuda_options *o, remora_error *err)
{
    const struct {
        const char *word;
        int *to;
    } known[] = {{"exact", &o->exact}, {"one-by-one", &o->one_by_one}};
    enum { KNOWN = sizeof known / sizeof known[0] };
    for (const char *at = words; *at != 0;) {
        const size_t n = strcspn(at, " ");
        size_t i = 0;
        while (i < KNOWN && (strlen(known[i].word) != n || memcmp(known[i].word, at, n) != 0)) i++;
        if (i == KNOWN)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                     "x-cuda \"%.60s\" is not known; known are exact and one-by-one", at);
        *known[i].to = 1;
        at += n + strspn(at + n, " ");
    }
    return REMORA_OK;
}

static remora_status make(void *user, uint32_t device, rmr_backend **out, remora_error *err)
{
    const gpus *g = user;
    rmr_cuda_options o = g->options;
    o.device = (int)device;
    return rmr_cuda_create(g->ctx, &o, out, err);
}

static void close_gpus(void *user)
{
    gpus *g = user;
    rmr_cu_driver_close(&g->driver);
    rmr_free(&g->ctx->mem, g, sizeof *g);
}

static remora_status open_gpus(gpus *g, const char *words, uint32_t *n, remora_error *err)
{
    int count = 0;
    g->options = (rmr_cuda_options){
        .graphs = 1, .image = rmr_cuda_image, .toolkit = rmr_cuda_toolkit, .driver = &g->driver};
    RMR_TRY(read_options(words, &g->options, err));
    RMR_TRY(rmr_cu_driver_open(&g->driver, err));
    const rmr_cu_result r = g->driver.device_count(&count);
    if (r != RMR_CU_SUCCESS)
        return rmr_error_set(err, REMORA_E_DEVICE, r,
                             "NVIDIA's driver does not say how many GPUs there are: CUDA error %d",
                             r);
    if (count <= 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "there is no GPU that NVIDIA's driver knows of");
    *n = (uint32_t)count;
    return REMORA_OK;
}

__attribute__((visibility("default"))) rmr_module_open_fn rmr_module_open;

remora_status rmr_module_open(const rmr_host *host, rmr_module *out, remora_error *err)
{
    out->match = rmr_match_here();
    if (!rmr_match_is(host->match, out->match))
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "the module is of another version");
    gpus *g = rmr_calloc(&host->ctx->mem, 1, sizeof *g);
    if (g == NULL) return rmr_error_nomem(err, "module", sizeof *g);
    g->ctx = host->ctx;
    const remora_status s = open_gpus(g, host->options, &out->n_devices, err);
    if (s < 0) {
        close_gpus(g);
        return s;
    }
    out->user = g;
    out->make = make;
    out->close = close_gpus;
    out->bytes = sizeof *g + out->n_devices * rmr_cuda_bytes();
    return REMORA_OK;
}
