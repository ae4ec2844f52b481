/* The kernel checks as a program that needs nothing but a C library: for emulated processors.
 * Arguments: the file with the expected digest, then optionally the name of the set that must be
 * the best one here. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cases.h"

static int run(const kernel_case *c, const rmr_kernels *set)
{
    int bad = 0;
    for (; c->name; c++) {
        const char *const what = c->run(set);
        if (what) fprintf(stderr, "%s %s: %s\n", set->name, c->name, what);
        bad += what != NULL;
    }
    return bad;
}

int main(int argc, char **argv)
{
    const rmr_kernels *set;
    uint64_t want = 0;
    int usable, bad = 0;
    FILE *const f = argc > 1 ? fopen(argv[1], "r") : NULL;
    if (!f || fscanf(f, "%" SCNx64, &want) != 1) fprintf(stderr, "no digest file\n");
    if (f) fclose(f);
    if (argc > 2 && strcmp(rmr_kernels_pick(NULL)->name, argv[2]) != 0) {
        fprintf(stderr, "picked %s, not %s\n", rmr_kernels_pick(NULL)->name, argv[2]);
        bad++;
    }
    for (uint32_t i = 0; (set = rmr_kernels_at(i, &usable)) != NULL; i++) {
        if (!rmr_kernels_pick(set->name)) continue;
        const uint64_t digest = cases_digest(set);
        if (digest != want) {
            fprintf(stderr, "%s: digest %016" PRIx64 "\n", set->name, digest);
            bad++;
        }
        if (i > 0 && argc < 4) bad += run(cases_against_ref, set);
    }
    if (argc < 4) bad += run(cases_truth, &rmr_kernels_ref);
    return bad != 0;
}
