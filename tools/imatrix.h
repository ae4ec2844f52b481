/* SPDX-License-Identifier: Apache-2.0 */
/* The importance matrix of a model (the mean square of the inputs of each weight, column by column)
 * as a safetensors file; docs/command.md says what is in it. */
#ifndef TOOL_IMATRIX_H
#define TOOL_IMATRIX_H

#include <remora/remora.h>
#include <stdint.h>

/* m was opened with REMORA_MODEL_IMPORTANCE and has evaluated n_tokens. 0, or -1 after a message on
 * stderr. */
int tool_imatrix_write(const char *path, const remora_model *m, uint64_t n_tokens);

#endif
