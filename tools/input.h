/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files and lists of token ids. Failures are told on stderr and returned as -1. */
#ifndef TOOL_INPUT_H
#define TOOL_INPUT_H

#include <remora/remora.h>
#include <stddef.h>

/* The bytes of a file, or of stdin for "-", in memory from malloc; a NUL follows them. */
int tool_read_file(const char *path, char **out, size_t *n);

/* Ids written as text, with spaces, commas or line ends between them. */
int tool_parse_ids(const char *text, size_t len, remora_token **out, size_t *n);

/* Ids as a file of little-endian int32. */
int tool_unpack_ids(const char *bytes, size_t len, remora_token **out, size_t *n);

/* 0, or -1 after saying on stderr that the model has no tokenizer. */
int tool_need_text(const remora_model *m);

/* remora_tokenize into memory from malloc. */
int tool_tokenize(const remora_model *m, const char *text, size_t len, uint32_t flags,
                  remora_token **out, size_t *n);

#endif
