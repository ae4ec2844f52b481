/* SPDX-License-Identifier: Apache-2.0 */
/* A libnvidia-ml.so.1 for tests: it says how much memory of the emulated driver is in use. */
#include <dlfcn.h>
#include <string.h>

#include "emulated_driver.h"

#define SEEN __attribute__((visibility("default")))
SEEN int nvmlInit_v2(void);
SEEN int nvmlShutdown(void);
SEEN int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **device);
SEEN int nvmlDeviceGetMemoryInfo(void *device, unsigned long long out[3]);

int nvmlInit_v2(void)
{
    return 0;
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **device)
{
    *device = NULL;
    return strcmp(bus, "0000:00:00.0") != 0;
}

int nvmlDeviceGetMemoryInfo(void *device, unsigned long long out[3])
{
    emulated_state *(*state)(void) = NULL;
    void *const driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    (void)device;
    if (driver == NULL) return 1;
    void *const at = dlsym(driver, "stub_state");
    memcpy(&state, &at, sizeof state);
    dlclose(driver);
    out[0] = (unsigned long long)state()->memory;
    out[2] = (unsigned long long)state()->memory_in_use;
    out[1] = out[0] - out[2];
    return 0;
}
