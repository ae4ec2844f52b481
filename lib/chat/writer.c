/* SPDX-License-Identifier: Apache-2.0 */
#include "writer.h"

#include <string.h>

void rmr_chat_writer_free(rmr_chat_writer *w)
{
    rmr_free(w->mem, w->text, w->cap);
    rmr_free(w->mem, w->markup, w->cap_markup * sizeof *w->markup);
    w->text = NULL;
    w->markup = NULL;
    w->n = w->cap = w->n_markup = w->cap_markup = 0;
}

void rmr_chat_put(rmr_chat_writer *w, const char *s, size_t n)
{
    if (w->status < 0 || n == 0) return;
    w->status = rmr_grow(w->mem, &w->text, &w->cap, w->n + n, 1, w->err);
    if (w->status < 0) return;
    memcpy(w->text + w->n, s, n);
    w->n += n;
}

void rmr_chat_mark(rmr_chat_writer *w, const char *s)
{
    const size_t begin = w->n;
    if (s == NULL || s[0] == 0) return;
    rmr_chat_put(w, s, strlen(s));
    if (w->status < 0) return;
    if (w->n_markup > 0 && w->markup[w->n_markup - 1].end == begin) {
        w->markup[w->n_markup - 1].end = w->n;
        return;
    }
    w->status =
        rmr_grow(w->mem, &w->markup, &w->cap_markup, w->n_markup + 1, sizeof *w->markup, w->err);
    if (w->status >= 0) w->markup[w->n_markup++] = (rmr_text_range){begin, w->n};
}

void rmr_chat_cut(rmr_chat_writer *w, size_t n)
{
    if (n >= w->n) return;
    w->n = n;
    while (w->n_markup > 0 && w->markup[w->n_markup - 1].begin >= n) w->n_markup--;
    if (w->n_markup > 0 && w->markup[w->n_markup - 1].end > n) w->markup[w->n_markup - 1].end = n;
}
