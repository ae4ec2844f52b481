/* SPDX-License-Identifier: Apache-2.0 */
/* The AMX set with tiles in plain C against the reference, so that everything around its
 * instructions is checked on any processor with AVX-512 VNNI. The two sets of the file that is
 * included have other names here, because the program also links the real ones. Argument: the file
 * with the expected digest. Left out where the processor lacks AVX-512 VNNI (not_here.txt). */
#include <stdio.h>

#include "cases.h"

static int amx_columns; /* of a sub-block: 32 or 16 */

#define AMX_EMULATED
#define amx_begin(type) ((void)(amx_columns = 32 / q_halves(type)))
#define amx_end() ((void)(amx_columns = 0))

/* Sums of 16 rows of x (32 bytes apart) by 16 rows of weights: four columns of each are neighbours
 * in a row of `code`. */
static inline __attribute__((always_inline)) void amx_sum(int32_t sum[16][16], const int8_t *q,
                                                          const int8_t *code)
{
    for (int m = 0; m < 16; m++)
        for (int r = 0; r < 16; r++) {
            int32_t s = 0;
            for (int c = 0; c < amx_columns; c++)
                s += q[m * 32 + c] * code[c / 4 * 64 + r * 4 + c % 4];
            sum[m][r] = s;
        }
}

#define rmr_kernels_amx rmr_kernels_amx_emulated
#define rmr_kernels_avx512vnni rmr_kernels_beside_emulated
#define RMR_AMX
#include "x86/kernels_avx512vnni.c"

int main(int argc, char **argv)
{
    const rmr_kernels *const set = &rmr_kernels_amx_emulated;
    int bad = 0;
    if (argc != 2 || !rmr_kernels_pick("avx512vnni")) return 2;
    const char *what = cases_digest(set, argv[1]);
    if (what) fprintf(stderr, "digest: %s\n", what);
    bad += what != NULL;
    for (const kernel_case *c = cases_against_ref; c->name; c++) {
        what = c->run(set);
        if (what) fprintf(stderr, "%s: %s\n", c->name, what);
        bad += what != NULL;
    }
    return bad != 0;
}
