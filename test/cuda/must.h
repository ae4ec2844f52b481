/* SPDX-License-Identifier: Apache-2.0 */
/* A call with an `err`, which ends the program when it fails. */
#ifndef MUST_H
#define MUST_H

#include <stdio.h>
#include <stdlib.h>

#include "error.h"

#define MUST(call)                                                                                 \
    do {                                                                                           \
        remora_error e_ = {.struct_size = sizeof e_};                                              \
        remora_error *const err = &e_;                                                             \
        if ((call) < 0) {                                                                          \
            printf("FAILED %s:%d %s: %s\n", __FILE__, __LINE__, #call, e_.message);                \
            exit(2);                                                                               \
        }                                                                                          \
    } while (0)

#endif
