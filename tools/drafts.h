/* SPDX-License-Identifier: Apache-2.0 */
/* The option --draft of the subcommands that generate, and what became of the drafts. */
#ifndef TOOL_DRAFTS_H
#define TOOL_DRAFTS_H

#include "options.h"
#include <remora/remora.h>

typedef struct tool_drafts {
    const char *said; /* what the user wrote; NULL: nothing */
    uint32_t most;    /* that, as remora_gen_opts.max_drafts */
} tool_drafts;

#define TOOL_DRAFT_OPTION(d)                                                                       \
    {                                                                                              \
        0, "draft", TOOL_TEXT, &(d).said, "auto|off|N",                                            \
            "guess tokens ahead: as many as pay (default),\nnone, or always N (at most 30); the "  \
            "text is the same",                                                                    \
            0, 0                                                                                   \
    }

/* TOOL_GO, or the exit code after a message. */
int tool_drafts_parse(tool_drafts *d);
/* The number of drafts of the session, and of those that were used, on stderr. */
void tool_drafts_print(const remora_session *s);

#endif
