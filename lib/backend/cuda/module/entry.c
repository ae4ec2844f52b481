/* SPDX-License-Identifier: Apache-2.0 */
/* The door of libremora-cuda.so: it opens the driver and makes a backend for each GPU. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "create.h"
#include "handshake.h"
#include "image.h"

typedef struct gpus {
    rmr_ctx *ctx;
    rmr_cu_driver driver;
    rmr_cuda_options options; /* of all */
} gpus;

/* A word sets an option to its value, or to the number behind it. */
typedef struct option_word {
    const char *name, *number; /* number: what the list of words calls it, or NULL */
    size_t at;                 /* of an int in rmr_cuda_options */
    int value;
} option_word;

enum { MOST = 9999 };

static const option_word option_words[] = {
    {"exact", NULL, offsetof(rmr_cuda_options, exact), 1},
    {"one-by-one", NULL, offsetof(rmr_cuda_options, one_by_one), 1},
    {"own-context", NULL, offsetof(rmr_cuda_options, own_context), 1},
    {"priority=low", NULL, offsetof(rmr_cuda_options, priority), RMR_CUDA_PRIORITY_LOW},
    {"priority=high", NULL, offsetof(rmr_cuda_options, priority), RMR_CUDA_PRIORITY_HIGH},
    {"short-pieces", NULL, offsetof(rmr_cuda_options, short_pieces), 1},
    {"sms=", "N", offsetof(rmr_cuda_options, sms), 0},
};
enum { WORDS = sizeof option_words / sizeof option_words[0] };

/* A number from 1 to MOST in n digits; 0: it is none. */
static int number_of(const char *at, size_t n)
{
    int x = 0;
    for (size_t i = 0; i < n; i++) {
        if (at[i] < '0' || at[i] > '9' || x > MOST / 10) return 0;
        x = x * 10 + (at[i] - '0');
    }
    return x;
}

/* Does the word of n characters set something? */
static int read_word(const char *at, size_t n, rmr_cuda_options *o)
{
    for (size_t i = 0; i < WORDS; i++) {
        const option_word *const w = &option_words[i];
        const size_t length = strlen(w->name);
        if (n < length || memcmp(w->name, at, length) != 0) continue;
        const int value = w->number != NULL ? number_of(at + length, n - length)
                          : n == length     ? w->value
                                            : 0;
        if (value == 0) continue;
        memcpy((char *)o + w->at, &value, sizeof value);
        return 1;
    }
    return 0;
}

static remora_status not_known(const char *word, remora_error *err)
{
    char known[160] = "";
    for (size_t i = 0, n = 0; i < WORDS; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s%s", i > 0 ? " " : "",
                              option_words[i].name,
                              option_words[i].number != NULL ? option_words[i].number : "");
    RMR_FAIL(err, REMORA_E_UNSUPPORTED, "x-cuda \"%.40s\" is not known; known are: %s", word,
             known);
}

/* Words with spaces between them. */
static remora_status read_options(const char *words, rmr_cuda_options *o, remora_error *err)
{
    for (const char *at = words; *at != 0;) {
        const size_t n = strcspn(at, " ");
        if (!read_word(at, n, o)) return not_known(at, err);
        at += n + strspn(at + n, " ");
    }
    if (o->own_context && o->sms > 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "x-cuda has both own-context and sms=%d; only the primary context can be cut to "
                 "some multiprocessors",
                 o->sms);
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
