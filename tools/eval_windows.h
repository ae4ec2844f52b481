/* SPDX-License-Identifier: Apache-2.0 */
/* The token windows that remora eval works through: each is a timeline of its own, of which all
 * tokens from `first` on are scored given those before them. */
#ifndef TOOL_EVAL_WINDOWS_H
#define TOOL_EVAL_WINDOWS_H

#include <remora/remora.h>
#include <stddef.h>

typedef struct tool_window {
    size_t at;      /* of its first token in ids */
    uint32_t n;     /* tokens, at least first + 1 */
    uint32_t first; /* scored from here on, at least 1 */
} tool_window;

typedef struct tool_windows {
    remora_token *ids;
    size_t n_ids, cap_ids;
    tool_window *v;
    size_t n, cap;
    size_t scored;    /* tokens over all windows */
    uint32_t longest; /* tokens */
} tool_windows;

/* Cuts n tokens into windows of at most ctx that begin with the n_bos tokens at bos and do not
 * overlap; at most `most` of them unless that is 0. ctx is above n_bos. */
int tool_windows_cut(tool_windows *w, const remora_token *bos, size_t n_bos,
                     const remora_token *ids, size_t n, uint32_t ctx, uint64_t most);

/* Ids written as text, one window a line. Lines with fewer than two ids have nothing to score and
 * are left out. */
int tool_windows_lines(tool_windows *w, const char *text, size_t len, uint64_t most);

/* One more window of n tokens, copied. All three return 0, or -1 after a message on stderr. */
int tool_windows_add(tool_windows *w, const remora_token *head, size_t n_head,
                     const remora_token *ids, size_t n, uint32_t first);

void tool_windows_free(tool_windows *w);

#endif
