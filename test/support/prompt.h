/* SPDX-License-Identifier: Apache-2.0 */
/* A tiny model with a prompt and the logits that it has when nothing stops its evaluation: the
 * fixture of tests that stop it. */
#ifndef PROMPT_H
#define PROMPT_H

#include "host.h"
#include "tiny.h"

enum { PROMPT_IDS = 160 };

typedef struct prompt {
    tiny t;
    remora_runtime *rt;
    remora_model *m;
    remora_token ids[PROMPT_IDS];
    uint32_t n;    /* tokens of the prompt, the first ones of ids */
    float *expect; /* their logits */
} prompt;

void prompt_make(prompt *p, const remora_runtime_opts *o, uint32_t n, uint64_t seed);
void prompt_free(prompt *p);

/* A session whose n_rows rows have to be those of the prompt from row `first` on. */
void prompt_compare(const prompt *p, remora_session *s, uint32_t first, uint32_t n_rows);

#endif
