/* Kernels on a GPU: check_gpu KERNELS BENCH-KERNELS WHAT, WHAT being check, small, bench, profile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_gpu.h"
#include "check_ops.h"
#include "clock.h"
#include "cpu.h"
#include "create.h"

int check_exact;

static void *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) return NULL;
    fseek(f, 0, SEEK_END);
    const long n = ftell(f);
    rewind(f);
    void *const data = calloc(1, (size_t)n + 16);
    if (fread(data, 1, (size_t)n, f) != (size_t)n) exit(2);
    fclose(f);
    return data;
}

static void timed(const char *name, void (*check)(int), int large)
{
    const uint64_t begin = rmr_clock_us();
    check(large);
    printf("# %s%s: %.1f s\n", name, check_exact ? ", exact" : "",
           (double)(rmr_clock_us() - begin) * 1e-6);
}

static void rows(int large)
{
    (void)large;
    check_embed();
    check_rows();
}

static void check_all(int large)
{
    timed("rows", rows, large);
    timed("products", check_products, large);
    if (large) timed("small products", check_products, 0);
    timed("latent", check_latent, large);
    timed("grouped", check_grouped, large);
    timed("experts", check_experts, large);
}

int main(int argc, char **argv)
{
    rmr_ctx ctx;
    remora_error err = {.struct_size = sizeof err};
    if (argc < 4) return 2;
    void *const kernels = read_file(argv[1]), *const bench = read_file(argv[2]);
    const char *const what = argv[3];
    const int checks = strcmp(what, "check") == 0 || strcmp(what, "small") == 0;
    memset(&ctx, 0, sizeof ctx);
    rmr_mem_init(&ctx.mem);
    check_loud = argc > 4;
    if (rmr_pool_create(&ctx.mem, 8, NULL, NULL, &ctx.pool, &err) < 0) return 2;
    for (check_exact = 0; check_exact < (checks ? 2 : 1); check_exact++) {
        const rmr_cuda_options options = {.exact = check_exact, .graphs = 1, .image = kernels};
        if (rmr_cpu_create(&ctx, NULL, NULL, &check_cpu, &err) < 0 ||
            rmr_cuda_create(&ctx, &options, &check_gpu, &err) < 0) {
            printf("%s\n", err.message);
            return 2;
        }
        if (checks)
            check_all(strcmp(what, "check") == 0);
        else
            bench_gpu(check_gpu, bench, strcmp(what, "profile") == 0);
        check_gpu->ops->free(check_gpu);
        check_cpu->ops->free(check_cpu);
    }
    rmr_pool_free(ctx.pool);
    printf("%d checks, %d bad, %llu bytes left\n", check_done, check_bad,
           (unsigned long long)atomic_load(&ctx.mem.bytes));
    return check_bad > 0;
}
