/* SPDX-License-Identifier: Apache-2.0 */
/* Translation from the Oniguruma dialect of tokenizer.json to PCRE2's. */
#ifndef RMR_TRANSLATE_H
#define RMR_TRANSLATE_H

#include "mem.h"

/* Bytes that grow; the owner releases p with cap bytes. */
typedef struct rmr_text {
    rmr_mem *mem;
    char *p;
    size_t n, cap;
} rmr_text;

/* Appends the PCRE2 pattern to `out`. E_UNSUPPORTED names the first construct that PCRE2 would
 * read in another way. */
remora_status rmr_regex_translate(const char *field, const char *pattern, size_t n, rmr_text *out,
                                  remora_error *err);

#endif
