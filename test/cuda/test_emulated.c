/* SPDX-License-Identifier: Apache-2.0 */
/* All operations in the emulator, in both modes; the seed of the schedules is an argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_ops.h"
#include "cpu.h"
#include "create.h"
#include "emulated_driver.h"

int check_exact;

/* Those whose name begins with `arg`; of large ones those that it names. */
static void check_one(void *arg, const char *name, void (*run)(int), int which, int large)
{
    const char *const only = arg;
    if (only != NULL ? strncmp(name, only, strlen(only)) == 0 : !large) run(which);
}

int main(int argc, char **argv)
{
    rmr_ctx ctx;
    remora_error err = {.struct_size = sizeof err};
    const rmr_cu_driver driver = emulated_driver();
    memset(&ctx, 0, sizeof ctx);
    rmr_mem_init(&ctx.mem);
    check_loud = argc > 1;
    if (argc > 2) emulated.seed = strtoull(argv[2], NULL, 10);
    if (rmr_pool_create(&ctx.mem, 1, NULL, NULL, &ctx.pool, &err) < 0) return 2;
    for (check_exact = 0; check_exact < 2; check_exact++) {
        const rmr_cuda_options options = {.exact = check_exact, .image = "", .driver = &driver};
        if (rmr_cpu_create(&ctx, NULL, NULL, &check_cpu, &err) < 0 ||
            rmr_cuda_create(&ctx, &options, &check_gpu, &err) < 0) {
            printf("%s\n", err.message);
            return 2;
        }
        check_visit_all(check_one, argc > 1 ? argv[1] : NULL);
        check_gpu->ops->free(check_gpu);
        check_cpu->ops->free(check_cpu);
    }
    rmr_pool_free(ctx.pool);
    printf("%d checks, %d bad, %ld blocks of device memory left, %llu bytes of the host's\n",
           check_done, check_bad, emulated.blocks_in_use,
           (unsigned long long)atomic_load(&ctx.mem.bytes));
    return check_bad > 0 || emulated.blocks_in_use != 0 || atomic_load(&ctx.mem.bytes) != 0;
}
