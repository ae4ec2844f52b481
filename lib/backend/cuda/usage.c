/* SPDX-License-Identifier: Apache-2.0 */
/* How much of a GPU's memory is in use, by whomever, as NVML says. The driver itself says it only
 * inside of a context, so what opening the context takes cannot be measured without. */
#include <dlfcn.h>
#include <string.h>

#include "cuda.h"

typedef struct nvml_memory {
    unsigned long long total, available, used;
} nvml_memory;

typedef struct nvml {
    int (*init)(void);
    int (*handle)(const char *bus, void **device);
    int (*memory)(void *device, nvml_memory *out);
    int (*shutdown)(void);
} nvml;

static int find(void *library, const char *symbol, void *to)
{
    void *const at = dlsym(library, symbol);
    memcpy(to, &at, sizeof at);
    return at != NULL;
}

static int ask(const nvml *n, const char *bus, uint64_t *used)
{
    nvml_memory m = {0};
    void *device;
    if (n->init() != 0) return 0;
    const int known = n->handle(bus, &device) == 0 && n->memory(device, &m) == 0;
    (void)n->shutdown();
    *used = m.used;
    return known;
}

int rmr_cuda_used_memory(rmr_cuda *c, uint64_t *used)
{
    char bus[32];
    nvml n;
    int known = 0;
    if (c->d.bus_id(bus, (int)sizeof bus, c->device) != RMR_CU_SUCCESS) return 0;
    void *const library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return 0;
    *used = 0;
    if (find(library, "nvmlInit_v2", &n.init) &&
        find(library, "nvmlDeviceGetHandleByPciBusId_v2", &n.handle) &&
        find(library, "nvmlDeviceGetMemoryInfo", &n.memory) &&
        find(library, "nvmlShutdown", &n.shutdown))
        known = ask(&n, bus, used);
    dlclose(library);
    return known;
}
