/* SPDX-License-Identifier: Apache-2.0 */
/* One result (P22) of a pack that mixes element types, the recipe experts-q4: logits are the same
 * bit for bit for every kernel set, number of threads and chunk. test_one_result.c asks the same,
 * in more ways, of the types in which checkpoints are stored. Argument: the model's folder. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "groups.h"
#include "host.h"
#include "rig.h"

/* Short appends in absorbed form, prompts in expanded form; the last reaches into a third page and
 * a second chunk. */
static const size_t pieces[] = {5, 33, 1, 70};
enum { N_PIECES = sizeof pieces / sizeof *pieces, N = 109 };

static rig R;
static char dir[HOST_DIR], path[HOST_DIR + 16];
static remora_token ids[N];
static float *expect;

/* The pack's logits of the first n_pieces; *n is how many tokens that are. NULL where this machine
 * lacks the kernel set. */
static float *logits(int threads, const char *isa, uint32_t chunk, size_t n_pieces, size_t *n)
{
    const remora_source src = host_path_source(path);
    rig r = R;
    *n = 0;
    r.rt = rig_runtime(threads, isa);
    if (r.rt == NULL) return NULL;
    r.model = host_open(r.rt, &src);
    const size_t width = host_vocab(r.model);
    float *all = malloc(N * width * sizeof *all);
    assert_non_null(all);
    remora_session *s = rig_session(&r, REMORA_KV_F32, chunk);
    for (size_t p = 0; p < n_pieces; *n += pieces[p++]) {
        rig_feed(s, ids + *n, pieces[p], 0, REMORA_WANT_ALL);
        for (size_t i = 0; i < pieces[p]; i++)
            memcpy(all + (*n + i) * width, rig_row(s, (uint32_t)i, width), width * sizeof *all);
    }
    remora_session_free(s);
    rig_close(&r);
    return all;
}

/* 0: not on this machine. */
static int check(int threads, const char *isa, uint32_t chunk, size_t n_pieces)
{
    const size_t width = R.info.n_vocab;
    size_t n;
    float *got = logits(threads, isa, chunk, n_pieces, &n);
    if (got == NULL) return 0;
    for (size_t i = 0; i < n; i++)
        if (memcmp(got + i * width, expect + i * width, width * sizeof *got) != 0)
            fail_msg("%s, %d threads, chunk %u: token %zu differs", isa, threads, chunk, i);
    free(got);
    return 1;
}

static int make_pack(void **state)
{
    (void)state;
    host_dir_make(dir);
    snprintf(path, sizeof path, "%s/model.remora", dir);
    rig_open(&R, rig_runtime(2, NULL));
    const remora_source src = host_path_source(R.folder);
    host_convert(R.rt, &src, path, "experts-q4", 0);
    host_ids(ids, N, R.info.n_vocab, 13);
    size_t n;
    expect = logits(1, NULL, 0, N_PIECES, &n);
    return n != N;
}

static int drop_pack(void **state)
{
    (void)state;
    free(expect);
    rig_close(&R);
    unlink(path);
    return rmdir(dir);
}

static void kernel_sets_threads_and_chunks(void **state)
{
    char sets[HOST_SETS][16];
    static const uint32_t chunks[] = {1, 7, 64};
    (void)state;
    for (uint32_t i = host_sets(sets); --i > 0;) { /* all but the first, the plain one */
        int ran = 0;
        for (int threads = 1; threads <= 5; threads += threads == 1 ? 1 : 3) /* 1, 2, 5 */
            for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
                /* small chunks are slow where there are more threads than cores */
                const size_t n = chunks[c] == 64 ? N_PIECES : threads == 5 ? 1 : 3;
                ran += check(threads, sets[i], chunks[c], RIG_SLOW ? 2 : n);
            }
        if (ran > 0) host_ran(sets[i]);
    }
}

/* Slow, so few tokens must do. */
static void plain_c(void **state)
{
    (void)state;
    assert_true(check(1, "ref", 7, 2));
    assert_true(check(2, "ref", 64, 2));
    assert_true(check(5, "ref", 1, 1));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernel_sets_threads_and_chunks),
        cmocka_unit_test(plain_c),
    };
    if (argc != 2) return 2;
    if (!rig_find(&R, argv[1])) return 1;
    const int failed = run_group("a mixed pack", tests, sizeof tests / sizeof *tests - RIG_SLOW,
                                 make_pack, drop_pack);
    goldens_close(&R.golden);
    return failed;
}
