/* SPDX-License-Identifier: Apache-2.0 */
/* Recognising a file or folder that is not the model it was taken for: pointers, error pages and
 * unfinished downloads come under the right name, and other programs' models lie in folders that
 * look alike. Openers ask here when they fail, so that the message says what was found and what to
 * do about it. */
#ifndef RMR_INSTEAD_H
#define RMR_INSTEAD_H

#include "source.h"

/* The kind of file that the opener expected: about a file of that kind the opener's own message is
 * the better one. */
typedef enum rmr_expected {
    RMR_EXPECTED_TEXT, /* JSON, or another text */
    RMR_EXPECTED_SAFETENSORS,
    RMR_EXPECTED_GGUF,
    RMR_EXPECTED_PACK,
    RMR_EXPECTED_NOTHING /* a file of none of these kinds */
} rmr_expected;

/* E_FORMAT naming the kind of a file of `size` bytes whose first `have` ones are given; `st`, with
 * err untouched, when it is of no kind known here. */
remora_status rmr_instead_bytes(const char *name, const void *head, size_t have, uint64_t size,
                                rmr_expected expected, remora_status st, remora_error *err);

/* As rmr_instead_bytes, for an open file that was refused with E_FORMAT or E_UNSUPPORTED; another
 * status is returned as it is. */
remora_status rmr_instead_file(const rmr_file *f, rmr_expected expected, remora_status st,
                               remora_error *err);

/* JSON that could not be read: E_FORMAT "half-written" when it ends before its object does, or
 * `st`. */
remora_status rmr_instead_json(const char *name, const char *text, size_t size, remora_status st,
                               remora_error *err);

/* `wanted` ("config.json", "model.safetensors") was not found: E_NOT_FOUND naming what the source
 * holds instead, or, where nothing is known of it, with err as it was. E_NOMEM. */
remora_status rmr_instead_source(rmr_source *src, const char *wanted, remora_error *err);

#endif
