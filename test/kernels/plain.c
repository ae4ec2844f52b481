/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel checks as a program that needs nothing but a C library: for emulated processors.
 * Arguments: the file with the expected digests, then optionally the name of the set that must be
 * the best one here. */
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
    int usable, bad = 0;
    if (argc < 2) return 2;
    if (argc > 2 && strcmp(rmr_kernels_pick(NULL)->name, argv[2]) != 0) {
        fprintf(stderr, "picked %s, not %s\n", rmr_kernels_pick(NULL)->name, argv[2]);
        bad++;
    }
    for (uint32_t i = 0; (set = rmr_kernels_at(i, &usable)) != NULL; i++) {
        if (!rmr_kernels_pick(set->name)) continue;
        const char *const what = cases_digest(set, argv[1]);
        if (what) fprintf(stderr, "%s: %s\n", set->name, what);
        bad += what != NULL;
        if (i > 0 && argc < 4) bad += run(cases_against_ref, set);
    }
    if (argc < 4) bad += run(cases_truth, &rmr_kernels_ref);
    return bad != 0;
}
