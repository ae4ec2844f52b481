/* SPDX-License-Identifier: Apache-2.0 */
/* What stop strings mean, the plain way: both readings of a text are kept, and after each byte
 * their ends are compared with every string. */
#ifndef STOP_MODEL_H
#define STOP_MODEL_H

#include <remora/remora.h>
#include <stdlib.h>
#include <string.h>

enum { STOP_MODEL_BYTES = 1024 };

typedef struct stop_reading { /* a text, and of each byte whether it is in the name of a token */
    char byte[STOP_MODEL_BYTES];
    uint8_t name[STOP_MODEL_BYTES];
    size_t n;
} stop_reading;

typedef struct stop_model { /* the text; the text with the names of control tokens in it */
    stop_reading of[2];
} stop_model;

static inline void stop_model_add(stop_model *m, char c, int is_name)
{
    for (int r = is_name; r < 2; r++) {
        stop_reading *x = &m->of[r];
        if (x->n == STOP_MODEL_BYTES) abort();
        x->name[x->n] = (uint8_t)is_name;
        x->byte[x->n++] = c;
    }
}

static inline int stop_model_ends_with(const stop_reading *r, const char *s, size_t n)
{
    return n <= r->n && memcmp(r->byte + r->n - n, s, n) == 0;
}

static inline uint32_t stop_model_text_in_last(const stop_reading *r, size_t k)
{
    uint32_t n = 0;
    for (size_t i = r->n - k; i < r->n; i++) n += !r->name[i];
    return n;
}

/* 1 when a string is complete with the last byte, which was in a name or not: the one with the most
 * text. */
static inline int stop_model_complete(const stop_model *m, const remora_gen_opts *o, int is_name,
                                      uint32_t *string, uint32_t *n_text)
{
    int found = 0;
    for (uint32_t i = 0; i < o->n_stop; i++)
        for (int r = is_name; r < 2; r++) {
            const size_t n = (size_t)o->stop[i].len;
            if (!stop_model_ends_with(&m->of[r], o->stop[i].ptr, n)) continue;
            const uint32_t text = stop_model_text_in_last(&m->of[r], n);
            if (found && text <= *n_text) continue;
            *string = i;
            *n_text = text;
            found = 1;
        }
    return found;
}

/* Bytes of text at the end that may become part of a stop string. */
static inline uint32_t stop_model_held(const stop_model *m, const remora_gen_opts *o)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < o->n_stop; i++)
        for (size_t n = 1; n < (size_t)o->stop[i].len; n++)
            for (int r = 0; r < 2; r++) {
                if (!stop_model_ends_with(&m->of[r], o->stop[i].ptr, n)) continue;
                const uint32_t text = stop_model_text_in_last(&m->of[r], n);
                if (text > most) most = text;
            }
    return most;
}

#endif
