/* All operations in the emulator, in both modes; the seed of the schedules is an argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_ops.h"
#include "cpu.h"
#include "create.h"
#include "emulated_driver.h"

int check_exact;

static void check_all(void)
{
    check_embed();
    check_rows();
    check_products(0);
    check_latent(0);
    check_grouped(0);
    check_experts(0);
}

static int only(const char *what)
{
    if (strcmp(what, "products") == 0) return check_products(0), 1;
    if (strcmp(what, "latent") == 0) return check_latent(0), 1;
    if (strcmp(what, "large") == 0) return check_latent(1), check_grouped(1), check_products(1), 1;
    if (strcmp(what, "grouped") == 0) return check_grouped(0), 1;
    if (strcmp(what, "experts") == 0) return check_experts(0), 1;
    if (strcmp(what, "rows") == 0) return check_embed(), check_rows(), 1;
    return 0;
}

int main(int argc, char **argv)
{
    rmr_ctx ctx;
    remora_error err = {0};
    const rmr_cu_driver driver = emulated_driver();
    memset(&ctx, 0, sizeof ctx);
    rmr_mem_init(&ctx.mem);
    check_loud = argc > 1;
    if (argc > 2) emulated_seed = strtoull(argv[2], NULL, 10);
    if (rmr_pool_create(&ctx.mem, 1, NULL, NULL, &ctx.pool, &err) < 0) return 2;
    for (check_exact = 0; check_exact < 2; check_exact++) {
        const rmr_cuda_options options = {.exact = check_exact, .image = "", .driver = &driver};
        if (rmr_cpu_create(&ctx, NULL, NULL, &check_cpu, &err) < 0 ||
            rmr_cuda_create(&ctx, &options, &check_gpu, &err) < 0) {
            printf("%s\n", err.message);
            return 2;
        }
        if (argc < 2 || !only(argv[1])) check_all();
        check_gpu->ops->free(check_gpu);
        check_cpu->ops->free(check_cpu);
    }
    rmr_pool_free(ctx.pool);
    printf("%d checks, %d bad, %ld blocks of device memory left, %llu bytes of the host's\n",
           check_done, check_bad, emulated_blocks_in_use,
           (unsigned long long)atomic_load(&ctx.mem.bytes));
    return check_bad > 0 || emulated_blocks_in_use != 0 || atomic_load(&ctx.mem.bytes) != 0;
}
