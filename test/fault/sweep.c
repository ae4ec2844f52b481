/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sweep_arm(tmem *t, long k, int how)
{
    atomic_store(&t->fail_n, how == SWEEP_FROM ? 1000000000 : 1);
    tmem_arm(t, k);
}

int sweep_disarm(tmem *t)
{
    const int hit =
        atomic_load(&t->fail_at) > 0 && atomic_load(&t->calls) >= atomic_load(&t->fail_at);
    atomic_store(&t->fail_n, 0);
    tmem_arm(t, 0);
    REQUIRE(atomic_load(&t->damage) == 0);
    return hit;
}

void sweep_expect(remora_session *s, const float *rows, uint32_t n, const char *what, long k)
{
    const float *row;
    size_t n_vocab;
    remora_session_info i = {.struct_size = sizeof i};
    REQUIRE(remora_session_get_info(s, &i, NULL) == REMORA_OK);
    int ok = i.n_rows == n && i.pending == 0;
    for (uint32_t r = 0; ok && r < n; r++) {
        REQUIRE(remora_session_logits(s, r, &row, &n_vocab, NULL) == REMORA_OK);
        ok = memcmp(row, rows + r * n_vocab, n_vocab * sizeof *row) == 0;
    }
    if (ok) return;
    fprintf(stderr, "%s, failure %ld: the session's rows are not what they were\n", what, k);
    abort();
}
