/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include "page.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PIECE = 16384, MEMORY = 32768 };

struct sv_http {
    const sv_model *m;
    sv_batch *b;
    sv_http_opts o;
    struct MHD_Daemon *daemon;
    uint32_t open; /* requests; changed atomically */
};

/* A request while its connection has it. */
typedef struct call {
    sv_http *h;
    int kind; /* SV_*, of a request with a body */
    tool_buffer body;
    int is_late; /* the body is too long: the rest of it is passed over */
    sv_job *job;
} call;

/* ---- answers ---- */

static enum MHD_Result send_bytes(struct MHD_Connection *c, unsigned http, const char *type,
                                  const void *bytes, size_t n)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(n, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);
    if (r == NULL) return MHD_NO;
    MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Cache-Control", "no-store");
    if (http == 503) MHD_add_response_header(r, "Retry-After", "1");
    if (http == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    const enum MHD_Result result = MHD_queue_response(c, http, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result send_problem(struct MHD_Connection *c, const sv_problem *why)
{
    char *text = sv_wire_error(why);
    if (text == NULL) return MHD_NO;
    const enum MHD_Result result =
        send_bytes(c, (unsigned)why->http, "application/json", text, strlen(text));
    free(text);
    return result;
}

static enum MHD_Result send_refusal(struct MHD_Connection *c, int http, const char *code,
                                    const char *message)
{
    sv_problem why;
    sv_refuse(&why, http, NULL, code, "%s", message);
    return send_problem(c, &why);
}

static enum MHD_Result send_json(struct MHD_Connection *c, json_t *v)
{
    char *text = v ? json_dumps(v, JSON_COMPACT) : NULL;
    json_decref(v);
    if (text == NULL) return MHD_NO;
    const enum MHD_Result result = send_bytes(c, 200, "application/json", text, strlen(text));
    free(text);
    return result;
}

static enum MHD_Result send_page(struct MHD_Connection *c)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        sv_page_size, (void *)(uintptr_t)sv_page, MHD_RESPMEM_PERSISTENT);
    if (r == NULL) return MHD_NO;
    MHD_add_response_header(r, "Content-Type", "text/html; charset=utf-8");
    MHD_add_response_header(r, "Content-Security-Policy", sv_page_policy);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(r, "Cache-Control", "no-store");
    const enum MHD_Result result = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return result;
}

static void wake(void *connection)
{
    MHD_resume_connection(connection);
}

/* The next bytes of a stream; a connection that has to wait for them sleeps. */
static ssize_t read_events(void *cls, uint64_t at, char *to, size_t max)
{
    const call *l = cls;
    sv_job *j = l->job;
    (void)at;
    sv_batch_lock(l->h->b);
    size_t n = j->out.n - j->sent;
    const int is_over = n == 0 && j->done, is_gone = j->gone;
    if (n > max) n = max;
    if (n > 0) memcpy(to, j->out.s + j->sent, n);
    j->sent += n;
    if (j->sent == j->out.n) j->sent = j->out.n = 0;
    if (n == 0 && !is_over && !is_gone) {
        j->asleep = 1;
        MHD_suspend_connection(j->connection);
    }
    sv_batch_unlock(l->h->b);
    if (is_gone) return MHD_CONTENT_READER_END_WITH_ERROR;
    return is_over ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)n;
}

static enum MHD_Result send_events(struct MHD_Connection *c, call *l)
{
    struct MHD_Response *r =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, read_events, l, NULL);
    if (r == NULL) return MHD_NO;
    MHD_add_response_header(r, "Content-Type", "text/event-stream; charset=utf-8");
    MHD_add_response_header(r, "Cache-Control", "no-store");
    MHD_add_response_header(r, "X-Accel-Buffering", "no");
    const enum MHD_Result result = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return result;
}

/* The events of a request that is made, or the whole answer; sleep until it is there. */
static enum MHD_Result send_answer(struct MHD_Connection *c, call *l)
{
    sv_job *j = l->job;
    sv_batch_lock(l->h->b);
    const int is_stream = j->state == SV_MADE && j->r.stream;
    const int is_ready = j->done || j->gone;
    if (!is_stream && !is_ready) {
        j->asleep = 1;
        MHD_suspend_connection(c);
    }
    sv_batch_unlock(l->h->b);
    if (is_stream) return send_events(c, l);
    if (!is_ready) return MHD_YES;
    return send_bytes(c, (unsigned)j->http, "application/json", j->out.s ? j->out.s : "", j->out.n);
}

/* ---- who may ask ---- */

/* The name of a host without its port: of "localhost:8080", "[::1]:8080". */
static size_t without_port(const char *host)
{
    if (*host == '[') {
        const char *end = strchr(host, ']');
        return end ? (size_t)(end + 1 - host) : strlen(host);
    }
    return strcspn(host, ":");
}

/* A page of another site can make a browser ask this machine under a name of its own. */
static int is_our_name(const sv_http *h, struct MHD_Connection *c)
{
    static const char *const ours[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
    if (h->o.any_name || host == NULL) return 1;
    const size_t n = without_port(host);
    if (n == strlen(h->o.host) && strncasecmp(host, h->o.host, n) == 0) return 1;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (n == strlen(ours[i]) && strncasecmp(host, ours[i], n) == 0) return 1;
    return 0;
}

/* Takes as long for every wrong key of a length. */
static int is_key(const char *given, const char *key)
{
    const size_t n = strlen(key);
    unsigned char differs = strlen(given) != n;
    for (size_t i = 0; i < n; i++) {
        const char c = differs && strlen(given) != n ? 0 : given[i];
        differs |= (unsigned char)(c ^ key[i]);
    }
    return differs == 0;
}

static int may_ask(const sv_http *h, struct MHD_Connection *c)
{
    static const char bearer[] = "Bearer ";
    const char *v = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
    if (h->o.key == NULL) return 1;
    return v != NULL && strncasecmp(v, bearer, sizeof bearer - 1) == 0 &&
           is_key(v + sizeof bearer - 1, h->o.key);
}

/* ---- paths ---- */

static json_t *status_of(const sv_http *h)
{
    sv_counts n;
    sv_batch_counts(h->b, &n);
    return json_pack("{s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "status", "ok",
                     "running", (int)n.running, "waiting", (int)n.waiting, "unmade", (int)n.unmade,
                     "jobs", (json_int_t)n.jobs, "finished", (json_int_t)n.finished, "gone",
                     (json_int_t)n.gone, "steps", (json_int_t)n.steps, "tokens",
                     (json_int_t)n.tokens, "reused", (json_int_t)n.reused);
}

static json_t *models_of(const sv_http *h)
{
    return json_pack("{s:s, s:[o]}", "object", "list", "data", sv_wire_model(h->m));
}

static enum MHD_Result get(sv_http *h, struct MHD_Connection *c, const char *path)
{
    static const char models[] = "/v1/models/";
    if (strcmp(path, "/") == 0) return send_page(c);
    if (strcmp(path, "/health") == 0) return send_json(c, status_of(h));
    if (!may_ask(h, c))
        return send_refusal(c, 401, "invalid_api_key", "the key is missing or wrong");
    if (strcmp(path, "/v1/models") == 0) return send_json(c, models_of(h));
    if (strncmp(path, models, sizeof models - 1) == 0) {
        if (strcmp(path + sizeof models - 1, h->m->name) == 0)
            return send_json(c, sv_wire_model(h->m));
        return send_refusal(c, 404, "model_not_found", "there is no model of that name");
    }
    return send_refusal(c, 404, NULL, "there is nothing under that path");
}

static int kind_of(const char *path)
{
    if (strcmp(path, "/v1/chat/completions") == 0) return SV_CHAT;
    if (strcmp(path, "/v1/completions") == 0) return SV_COMPLETION;
    return -1;
}

/* A page of another site cannot make a browser send this type without asking first. */
static int is_json(struct MHD_Connection *c)
{
    static const char json[] = "application/json";
    const char *v = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type");
    return v != NULL && strncasecmp(v, json, sizeof json - 1) == 0 &&
           (v[sizeof json - 1] == 0 || v[sizeof json - 1] == ';' || v[sizeof json - 1] == ' ');
}

static int too_long(const sv_http *h, struct MHD_Connection *c)
{
    const char *v = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length");
    return v != NULL && strtoull(v, NULL, 10) > h->o.most_body;
}

/* The headers are there: refuse, answer at once, or make a call whose body is read. */
static enum MHD_Result begin(sv_http *h, struct MHD_Connection *c, const char *path,
                             const char *method, void **state)
{
    const int kind = kind_of(path);
    if (!is_our_name(h, c))
        return send_refusal(c, 403, NULL, "this server is asked under a name that is not its own");
    if (kind < 0 || strcmp(method, "POST") != 0) {
        if (kind < 0 && strcmp(method, "GET") == 0) return get(h, c, path);
        return send_refusal(c, kind < 0 ? 404 : 405, NULL, "there is nothing for that method");
    }
    if (!may_ask(h, c))
        return send_refusal(c, 401, "invalid_api_key", "the key is missing or wrong");
    if (!is_json(c)) return send_refusal(c, 415, NULL, "Content-Type is not application/json");
    if (too_long(h, c)) return send_refusal(c, 413, NULL, "the body is too long");
    call *l = calloc(1, sizeof *l);
    if (l == NULL) return MHD_NO;
    l->h = h;
    l->kind = kind;
    __atomic_add_fetch(&h->open, 1, __ATOMIC_RELAXED);
    *state = l;
    return MHD_YES;
}

static enum MHD_Result start_job(struct MHD_Connection *c, call *l)
{
    sv_problem why;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (l->is_late) return send_refusal(c, 413, NULL, "the body is too long");
    sv_job *j = sv_job_create(l->h->m, l->kind, &l->body);
    if (j == NULL) return send_refusal(c, 503, NULL, "memory is out");
    j->wake = wake;
    j->connection = c;
    j->fd = info ? info->connect_fd : -1;
    l->job = j;
    if (sv_batch_submit(l->h->b, j, &why) < 0) return send_problem(c, &why);
    return send_answer(c, l);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *n, void **state)
{
    sv_http *h = cls;
    (void)version;
    if (*state == NULL) return begin(h, c, path, method, state);
    call *l = *state;
    if (*n > 0) {
        l->is_late |= l->body.n + *n > h->o.most_body;
        if (!l->is_late && tool_buffer_add(&l->body, data, *n) < 0) return MHD_NO;
        *n = 0;
        return MHD_YES;
    }
    return l->job == NULL ? start_job(c, l) : send_answer(c, l);
}

static void on_end(void *cls, struct MHD_Connection *c, void **state,
                   enum MHD_RequestTerminationCode why)
{
    sv_http *h = cls;
    call *l = *state;
    (void)c;
    (void)why;
    if (l == NULL) return;
    if (l->job != NULL) {
        sv_batch_lock(h->b);
        l->job->gone = 1;
        l->job->fd = -1;
        l->job->asleep = 0;
        sv_batch_unlock(h->b);
        sv_batch_drop(h->b, l->job);
    }
    free(l->body.s);
    free(l);
    *state = NULL;
    __atomic_sub_fetch(&h->open, 1, __ATOMIC_RELAXED);
}

/* ---- beginning and end ---- */

static int address(const char *host, uint16_t port, struct sockaddr_storage *out, int *is_6)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    *is_6 = 0;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return 0;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1) return -1;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    *is_6 = 1;
    return 0;
}

int sv_http_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

sv_http *sv_http_start(const sv_model *m, sv_batch *b, const sv_http_opts *o)
{
    struct sockaddr_storage at;
    int is_6 = 0;
    if (address(o->host, o->port, &at, &is_6) < 0) {
        fprintf(stderr, "remora-server: --host %s is no address\n", o->host);
        return NULL;
    }
    sv_http *h = calloc(1, sizeof *h);
    if (h == NULL) return NULL;
    h->m = m;
    h->b = b;
    h->o = *o;
    h->daemon = MHD_start_daemon(
        MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
            (is_6 ? MHD_USE_IPv6 : 0),
        o->port, NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at,
        MHD_OPTION_CONNECTION_LIMIT, o->most_connections, MHD_OPTION_CONNECTION_TIMEOUT, o->idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_NOTIFY_COMPLETED, on_end, h,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    if (h->daemon != NULL) return h;
    fprintf(stderr, "remora-server: cannot listen on %s, port %u\n", o->host, o->port);
    free(h);
    return NULL;
}

uint16_t sv_http_port(const sv_http *h)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info ? info->port : 0;
}

void sv_http_close(sv_http *h)
{
    const MHD_socket s = MHD_quiesce_daemon(h->daemon);
    if (s != MHD_INVALID_SOCKET) shutdown(s, SHUT_RDWR);
}

uint32_t sv_http_open(sv_http *h)
{
    return __atomic_load_n(&h->open, __ATOMIC_RELAXED);
}

void sv_http_stop(sv_http *h)
{
    MHD_stop_daemon(h->daemon);
    free(h);
}
