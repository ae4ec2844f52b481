/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels on a GPU. check_gpu list: the names of all checks, `small NAME` or `large NAME`;
 * check_gpu KERNELS check NAME: one of them, in both modes; check_gpu KERNELS bench BENCH-KERNELS
 * NAME: times of a part (bench_gpu.h). -check and -bench: with kernels that do not overlap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_gpu.h"
#include "check_ops.h"
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

static void show(void *arg, const char *name, void (*run)(int), int which, int large)
{
    (void)arg;
    (void)run;
    (void)which;
    printf("%s %s\n", large ? "large" : "small", name);
}

static void check_one(void *arg, const char *name, void (*run)(int), int which, int large)
{
    (void)large;
    if (strcmp(name, arg) == 0) run(which);
}

int main(int argc, char **argv)
{
    rmr_ctx ctx;
    remora_error err = {.struct_size = sizeof err};
    if (argc == 2 && strcmp(argv[1], "list") == 0) return check_visit_all(show, NULL), 0;
    if (argc < 4) return 2;
    void *const kernels = read_file(argv[1]);
    const int alone = argv[2][0] == '-', check = strcmp(argv[2] + alone, "check") == 0;
    memset(&ctx, 0, sizeof ctx);
    rmr_mem_init(&ctx.mem);
    check_loud = 1;
    if (rmr_pool_create(&ctx.mem, 2, NULL, NULL, &ctx.pool, &err) < 0) return 2;
    for (check_exact = 0; check_exact < (check ? 2 : 1); check_exact++) {
        const rmr_cuda_options options = {
            .exact = check_exact, .graphs = 1, .one_by_one = alone, .image = kernels};
        if (rmr_cpu_create(&ctx, NULL, NULL, &check_cpu, &err) < 0 ||
            rmr_cuda_create(&ctx, &options, &check_gpu, &err) < 0) {
            printf("FAILED %s\n", err.message);
            return 2;
        }
        if (check)
            check_visit_all(check_one, argv[3]);
        else
            bench_gpu(check_gpu, read_file(argv[3]), argc > 4 ? argv[4] : "");
        check_gpu->ops->free(check_gpu);
        check_cpu->ops->free(check_cpu);
    }
    rmr_pool_free(ctx.pool);
    if (check)
        printf("%s: %d checks, %d bad, %llu bytes left\n", argv[3], check_done, check_bad,
               (unsigned long long)atomic_load(&ctx.mem.bytes));
    return check_bad > 0 || (check && check_done == 0);
}
