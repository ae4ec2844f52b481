/* SPDX-License-Identifier: Apache-2.0
 * The functions of zstd's lib/common/zstd_common.c that are called. That file takes away what names.h says of one. */
#include "lib/common/error_private.h"

#define ZSTD_isError_ rmr_dep_ZSTD_isError
unsigned ZSTD_isError_(size_t code);
ZSTD_ErrorCode ZSTD_getErrorCode(size_t code);
const char *ZSTD_getErrorName(size_t code);

unsigned ZSTD_isError_(size_t code) { return ERR_isError(code); }

ZSTD_ErrorCode ZSTD_getErrorCode(size_t code) { return ERR_getErrorCode(code); }

const char *ZSTD_getErrorName(size_t code) { return ERR_getErrorName(code); }
