/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, which are UTF-8 on Windows and bytes elsewhere. */
#ifndef RMR_PATH_H
#define RMR_PATH_H

/* The part behind the last separator: "/", and on Windows "\" and the colon of a drive too. */
const char *rmr_path_last(const char *path);

#endif
