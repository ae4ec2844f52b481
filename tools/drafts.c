/* SPDX-License-Identifier: Apache-2.0 */
#include "drafts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int tool_drafts_parse(tool_drafts *d)
{
    char *end;
    if (d->said == NULL || strcmp(d->said, "auto") == 0) {
        d->most = REMORA_DRAFTS_AUTO;
        return TOOL_GO;
    }
    const int off = strcmp(d->said, "off") == 0;
    const unsigned long n = off ? 0 : strtoul(d->said, &end, 10);
    if (!off && (*d->said < '0' || *d->said > '9' || *end != 0 || n > 30))
        return tool_usage("--draft is \"%s\"; it takes auto, off, or a number up to 30", d->said);
    d->most = (uint32_t)n;
    return TOOL_GO;
}

void tool_drafts_print(const remora_session *s)
{
    remora_stats now = {.struct_size = sizeof now};
    if (remora_session_get_stats(s, &now, NULL) < 0 || now.drafts == 0) return;
    fprintf(stderr, "drafts   %6llu tokens, %llu of them used (%.0f %%)\n",
            (unsigned long long)now.drafts, (unsigned long long)now.drafts_used,
            100.0 * (double)now.drafts_used / (double)now.drafts);
}
