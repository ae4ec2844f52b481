/* SPDX-License-Identifier: Apache-2.0 */
/* Shared objects: dlopen, or what a system has in its place. */
#ifndef RMR_SHARED_OBJECT_H
#define RMR_SHARED_OBJECT_H

#include "error.h"

enum { RMR_OBJECT_PATH = 4096 };

/* E_NOT_FOUND or E_IO where the file cannot be opened, E_FORMAT where it cannot be loaded. */
remora_status rmr_object_open(const char *path, void **out, remora_error *err);
void *rmr_object_symbol(void *object, const char *name); /* NULL: there is none */
void rmr_object_close(void *object);

/* The path of the object that this library is in, or of the program; "": not known. It is in the
 * room, or lives as long as the object. */
const char *rmr_object_here(char room[RMR_OBJECT_PATH]);

#endif
