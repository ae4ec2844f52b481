/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer of a source's files, without a model. */
#ifndef TOKENIZER_OF_H
#define TOKENIZER_OF_H

#include "json_files.h"
#include "tokenizer.h"

static inline remora_status tokenizer_of(rmr_mem *mem, rmr_source *src, uint32_t n_vocab,
                                         rmr_tokenizer **out, remora_error *err)
{
    rmr_json_files files = {.mem = mem, .src = src};
    const remora_status st = rmr_tokenizer_open(&files, n_vocab, out, err);
    rmr_json_files_drop(&files);
    return st;
}

#endif
