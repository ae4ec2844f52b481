/* SPDX-License-Identifier: Apache-2.0 */
/* The side of the network: connections, paths, keys and limits. No path of the network is a path of
 * a file. */
#ifndef SV_HTTP_H
#define SV_HTTP_H

#include "batch.h"

typedef struct sv_http sv_http;

typedef struct sv_http_opts {
    const char *host; /* an address of this machine */
    uint16_t port;    /* 0: one that is free */
    const char *key;  /* NULL: none is asked for */
    int any_name;     /* requests may name another host than this machine */
    uint64_t most_body;
    uint32_t most_connections;
    uint32_t idle_s; /* a connection that says nothing is closed */
} sv_http_opts;

/* NULL after a message on stderr. */
sv_http *sv_http_start(const sv_model *m, sv_batch *b, const sv_http_opts *o);
uint16_t sv_http_port(const sv_http *h);
int sv_http_is_loopback(const char *host);
void sv_http_close(sv_http *h);    /* no new connection is taken */
uint32_t sv_http_open(sv_http *h); /* requests that are under way */
void sv_http_stop(sv_http *h);

#endif
