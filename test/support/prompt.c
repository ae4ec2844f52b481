/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt.h"

#include <stdlib.h>

void prompt_make(prompt *p, const remora_runtime_opts *o, uint32_t n, uint64_t seed)
{
    remora_error err = HOST_ERROR;
    REQUIRE(n <= PROMPT_IDS);
    *p = (prompt){.n = n};
    tiny_make(&p->t, NULL);
    REQUIRE_OK(remora_runtime_create(o, &p->rt, &err), &err);
    p->m = host_open(p->rt, &p->t.source);
    host_ids(p->ids, PROMPT_IDS, TINY_TEXT_VOCAB, seed);
    p->expect = host_logits(p->m, p->ids, n);
}

void prompt_free(prompt *p)
{
    free(p->expect);
    remora_model_free(p->m);
    remora_runtime_free(p->rt);
    tiny_free(&p->t);
}

void prompt_compare(const prompt *p, remora_session *s, uint32_t first, uint32_t n_rows)
{
    REQUIRE(host_session_info(s).n_rows == n_rows && first + n_rows <= p->n);
    if (n_rows == 0) return;
    float *const got = host_rows(s, n_rows);
    REQUIRE(memcmp(got, p->expect + (size_t)first * TINY_TEXT_VOCAB,
                   n_rows * TINY_TEXT_VOCAB * sizeof *got) == 0);
    free(got);
}
