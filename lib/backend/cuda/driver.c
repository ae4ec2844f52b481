/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <dlfcn.h>
#include <string.h>

static int find(void *library, const char *symbol, void *to)
{
    void *const at = dlsym(library, symbol);
    memcpy(to, &at, sizeof at);
    return at != NULL;
}

remora_status rmr_cu_driver_open(rmr_cu_driver *d, remora_error *err)
{
    const char *missing = NULL;
    memset(d, 0, sizeof *d);
    /* It has threads of its own, so it is never unloaded. */
    d->library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (d->library == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "libcuda.so.1 of NVIDIA's driver was not found");
#define X(name, symbol, parameters)                                                                \
    if (!find(d->library, #symbol, &d->name)) missing = #symbol;
    RMR_CU_FUNCTIONS(X)
#undef X
#define X(name, symbol, parameters) (void)find(d->library, #symbol, &d->name);
    RMR_CU_GREEN_FUNCTIONS(X)
#undef X
    if (missing != NULL) {
        rmr_cu_driver_close(d);
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "libcuda.so.1 has no %s: NVIDIA's driver is too old; 12.9 and later are supported",
                 missing);
    }
    const rmr_cu_result r = d->init(0);
    if (r != RMR_CU_SUCCESS) {
        const char *text = NULL;
        if (d->error_string(r, &text) != RMR_CU_SUCCESS || text == NULL) text = "unknown";
        rmr_error_set(err, REMORA_E_UNSUPPORTED, r,
                      "NVIDIA's driver cannot start: cuInit gives CUDA error %d (%s)", r, text);
        rmr_cu_driver_close(d);
        return REMORA_E_UNSUPPORTED;
    }
    return REMORA_OK;
}

void rmr_cu_driver_close(rmr_cu_driver *d)
{
    if (d->library != NULL) dlclose(d->library);
    memset(d, 0, sizeof *d);
}
