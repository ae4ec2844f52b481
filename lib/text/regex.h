/* SPDX-License-Identifier: Apache-2.0 */
/* Pre-tokenizer patterns: the Oniguruma dialect of tokenizer.json, run by PCRE2 within a budget of
 * work. A construct that PCRE2 would read in another way is translated or refused, never passed on.
 */
#ifndef RMR_REGEX_H
#define RMR_REGEX_H

#include "mem.h"

typedef struct rmr_regex rmr_regex;
typedef struct rmr_matcher rmr_matcher;

/* `literal`: the pattern is a plain string. `field` names the pattern in errors. */
remora_status rmr_regex_compile(rmr_mem *mem, const char *field, const char *pattern, size_t n,
                                int literal, rmr_regex **out, remora_error *err);
void rmr_regex_free(rmr_regex *re);

/* State of matching for one call of encode. `work` steps are allowed in all searches together. */
remora_status rmr_matcher_create(rmr_mem *mem, uint64_t work, rmr_matcher **out, remora_error *err);
void rmr_matcher_free(rmr_matcher *m);

/* The first match at or after `from` in s[0..n), which must be UTF-8. REMORA_END: none.
 * E_UNSUPPORTED: the pattern needs more work or memory on this text than allowed. */
remora_status rmr_regex_find(const rmr_regex *re, rmr_matcher *m, const char *s, size_t n,
                             size_t from, size_t *begin, size_t *end, remora_error *err);

#endif
