/* SPDX-License-Identifier: Apache-2.0 */
/* See eval_windows.h. */
#include "eval_windows.h"
#include "input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(void)
{
    fputs("remora: out of memory\n", stderr);
    return -1;
}

/* Room for `need` elements in an array that grows by doubling; NULL when memory ran out. */
static void *grow(void *v, size_t *cap, size_t need, size_t size)
{
    size_t more = *cap ? *cap : 64;
    if (v && need <= *cap) return v;
    while (more < need) more *= 2;
    v = realloc(v, more * size);
    if (v) *cap = more;
    return v;
}

int tool_windows_add(tool_windows *w, const remora_token *head, size_t n_head,
                     const remora_token *ids, size_t n, uint32_t first)
{
    const size_t total = w->n_ids + n_head + n;
    const uint32_t len = (uint32_t)(n_head + n);
    remora_token *all = grow(w->ids, &w->cap_ids, total, sizeof *all);
    if (!all) return no_memory();
    w->ids = all;
    tool_window *v = grow(w->v, &w->cap, w->n + 1, sizeof *v);
    if (!v) return no_memory();
    w->v = v;
    if (n_head > 0) memcpy(all + w->n_ids, head, n_head * sizeof *head);
    if (n > 0) memcpy(all + w->n_ids + n_head, ids, n * sizeof *ids);
    w->v[w->n++] = (tool_window){.at = w->n_ids, .n = len, .first = first};
    w->n_ids = total;
    w->scored += len - first;
    if (len > w->longest) w->longest = len;
    return 0;
}

int tool_windows_cut(tool_windows *w, const remora_token *bos, size_t n_bos,
                     const remora_token *ids, size_t n, uint32_t ctx, uint64_t most)
{
    const size_t step = ctx - n_bos;
    const uint32_t first = n_bos ? (uint32_t)n_bos : 1;
    for (size_t i = 0; i < n && (most == 0 || w->n < most); i += step) {
        const size_t part = n - i < step ? n - i : step;
        if (n_bos + part <= first) break; /* nothing to score in the last one */
        if (tool_windows_add(w, bos, n_bos, ids + i, part, first) < 0) return -1;
    }
    return 0;
}

int tool_windows_lines(tool_windows *w, const char *text, size_t len, uint64_t most)
{
    size_t line = 1;
    for (size_t at = 0; at < len && (most == 0 || w->n < most); line++) {
        const char *end = memchr(text + at, '\n', len - at);
        const size_t n_bytes = end ? (size_t)(end - text) - at : len - at;
        remora_token *ids;
        size_t n;
        int st = tool_parse_ids(text + at, n_bytes, &ids, &n);
        if (st < 0) {
            fprintf(stderr, "remora: line %zu of the ids\n", line);
            return -1;
        }
        if (n > UINT32_MAX) {
            fprintf(stderr, "remora: line %zu of the ids is too long\n", line);
            st = -1;
        } else if (n >= 2) {
            st = tool_windows_add(w, NULL, 0, ids, n, 1);
        }
        free(ids);
        if (st < 0) return -1;
        at += n_bytes + 1;
    }
    return 0;
}

void tool_windows_free(tool_windows *w)
{
    free(w->ids);
    free(w->v);
    *w = (tool_windows){0};
}
