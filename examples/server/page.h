/* SPDX-License-Identifier: Apache-2.0 */
/* The page that chats, which embed.py makes of page.html. */
#ifndef SV_PAGE_H
#define SV_PAGE_H

#include <stddef.h>

extern const unsigned char sv_page[];
extern const size_t sv_page_size;
extern const char sv_page_policy[]; /* Content-Security-Policy */

#endif
