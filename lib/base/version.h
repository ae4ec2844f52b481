/* SPDX-License-Identifier: Apache-2.0 */
/* The version of this library as text, made of the numbers of the public header and the stage of
 * the project: "-dev" from a release on until the next one. */
#ifndef RMR_VERSION_H
#define RMR_VERSION_H

#include <remora/remora.h>

#define RMR_TEXT_OF(x) #x
#define RMR_TEXT(x) RMR_TEXT_OF(x)
#define RMR_STAGE "-dev"
#define RMR_VERSION                                                                                \
    RMR_TEXT(REMORA_VERSION_MAJOR)                                                                 \
    "." RMR_TEXT(REMORA_VERSION_MINOR) "." RMR_TEXT(REMORA_VERSION_PATCH) RMR_STAGE

#endif
