/* SPDX-License-Identifier: Apache-2.0 */
/* Two folders hold the same model in different forms: the same logits to the bit, as folders and as
 * packs made from them. Arguments: the folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host.h"

enum { N_IDS = 45 };

static remora_runtime *rt;
static char dir[HOST_DIR], packs[2][64];
static remora_source folders[2];

static float *logits_of(const remora_source *src, uint32_t *width)
{
    remora_token ids[N_IDS];
    remora_model *m = host_open(rt, src);
    *width = host_vocab(m);
    host_ids(ids, N_IDS, *width, 1);
    float *all = host_logits(m, ids, N_IDS);
    remora_model_free(m);
    return all;
}

static void same(const remora_source *a, const remora_source *b)
{
    uint32_t n[2];
    float *x = logits_of(a, &n[0]), *y = logits_of(b, &n[1]);
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(x, y, N_IDS * (size_t)n[0] * sizeof *x);
    free(x);
    free(y);
}

static void folders_agree(void **state)
{
    (void)state;
    same(&folders[0], &folders[1]);
}

static void packs_agree(void **state)
{
    (void)state;
    host_dir_make(dir);
    for (int i = 0; i < 2; i++) {
        snprintf(packs[i], sizeof packs[i], "%s/%d.remora", dir, i);
        host_convert(rt, &folders[i], packs[i], "keep", 0);
    }
    const remora_source a = host_path_source(packs[0]), b = host_path_source(packs[1]);
    same(&folders[0], &b);
    same(&a, &b);
    for (int i = 0; i < 2; i++) remove(packs[i]);
    remove(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(folders_agree),
                                       cmocka_unit_test(packs_agree)};
    if (argc != 3) return 2;
    for (int i = 0; i < 2; i++) folders[i] = host_path_source(argv[i + 1]);
    rt = host_runtime(NULL, 2, NULL);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remora_runtime_free(rt);
    return failed;
}
