/* SPDX-License-Identifier: Apache-2.0 */
/* All operations in the emulator, in both modes, and some of them in short pieces. Arguments: the
 * beginning of a name, or "pieces"; the seed of the schedules. */
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

/* A GPU so slow that products and attention are cut into short pieces; and some checks that have
 * what can be cut. */
static void be_slow(void)
{
    emulated.khz = 200000;
    emulated.memory_khz = 1000;
    emulated.memory_bits = 8;
}

static const char *const cut_names[] = {"many-0", "latent-0", "latent-5", "experts-6", "grouped-0"};
enum { CUT = sizeof cut_names / sizeof *cut_names };
static long launches[CUT][2];

/* With whole kernels, then with pieces. */
static void check_pieces(void *arg, const char *name, void (*run)(int), int which, int large)
{
    const int pieces = *(const int *)arg;
    (void)large;
    for (int i = 0; i < CUT; i++) {
        if (strcmp(name, cut_names[i]) != 0) continue;
        const long before = emulated.launches;
        run(which);
        launches[i][pieces] = emulated.launches - before;
        if (!pieces) continue;
        char text[64];
        snprintf(text, sizeof text, "%ld kernels, %ld in pieces", launches[i][0], launches[i][1]);
        check_report(name, launches[i][1] <= launches[i][0], text);
    }
}

static int with_backends(rmr_ctx *ctx, const rmr_cuda_options *options, check_visit *visit,
                         void *arg)
{
    remora_error err = {.struct_size = sizeof err};
    if (rmr_cpu_create(ctx, NULL, NULL, &check_cpu, &err) < 0 ||
        rmr_cuda_create(ctx, options, &check_gpu, &err) < 0) {
        printf("%s\n", err.message);
        return 0;
    }
    check_visit_all(visit, arg);
    check_gpu->ops->free(check_gpu);
    check_cpu->ops->free(check_cpu);
    return 1;
}

int main(int argc, char **argv)
{
    rmr_ctx ctx;
    remora_error err = {.struct_size = sizeof err};
    const rmr_cu_driver driver = emulated_driver();
    rmr_cuda_options options = {.image = "", .driver = &driver};
    char *const only = argc > 1 && strcmp(argv[1], "pieces") != 0 ? argv[1] : NULL;
    memset(&ctx, 0, sizeof ctx);
    rmr_mem_init(&ctx.mem);
    check_loud = argc > 1;
    if (argc > 2) emulated.seed = strtoull(argv[2], NULL, 10);
    if (rmr_pool_create(&ctx.mem, 1, NULL, NULL, &ctx.pool, &err) < 0) return 2;
    for (check_exact = 0; check_exact < 2 && (argc == 1 || only != NULL); check_exact++) {
        options.exact = check_exact;
        if (!with_backends(&ctx, &options, check_one, only)) return 2;
    }
    check_exact = options.exact = 0;
    be_slow();
    for (int pieces = 0; pieces < 2 && only == NULL; pieces++) {
        options.short_pieces = pieces;
        if (!with_backends(&ctx, &options, check_pieces, &pieces)) return 2;
    }
    rmr_pool_free(ctx.pool);
    printf("%d checks, %d bad, %ld blocks of device memory left, %llu bytes of the host's\n",
           check_done, check_bad, emulated.blocks_in_use,
           (unsigned long long)atomic_load(&ctx.mem.bytes));
    return check_bad > 0 || emulated.blocks_in_use != 0 || atomic_load(&ctx.mem.bytes) != 0;
}
