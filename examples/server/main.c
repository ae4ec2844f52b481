/* SPDX-License-Identifier: Apache-2.0 */
/* A server with OpenAI's API over one model: docs/server.md. One thread of the network, some that
 * make jobs of requests, and one of the model; this one reads options, opens the model, and waits
 * for a signal. */
#include "http.h"

#include "../../tools/drafts.h"
#include "../../tools/host.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct server {
    tool_host host;
    tool_session session;
    tool_drafts drafts;
    sv_http_opts http;
    sv_batch_opts batch;
    const char *key_file, *name, *format, *port_file;
    uint32_t port, grace_s;
    int no_key;
    char key[512];
    sv_model model;
    sv_batch *b;
    sv_http *h;
} server;

static int parse(server *v, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(v->host),
        {0, "host", TOOL_TEXT, &v->http.host, "ADDRESS",
         "where to listen (default 127.0.0.1, which this\nmachine alone can reach)", 0, 0},
        {'p', "port", TOOL_U32, &v->port, "N", "(default 8080); 0: one that is free", 0, 65535},
        {0, "port-file", TOOL_TEXT, &v->port_file, "PATH", "a file that gets the port", 0, 0},
        {0, "key-file", TOOL_TEXT, &v->key_file, "PATH",
         "a file whose first line is the key that requests\nneed; needed with another address than "
         "this machine's",
         0, 0},
        {0, "no-key", TOOL_FLAG, &v->no_key, NULL, "listen for others without a key", 0, 0},
        {0, "name", TOOL_TEXT, &v->name, "NAME", "of the model in answers (default: its file's)", 0,
         0},
        {0, "format", TOOL_TEXT, &v->format, "NAME", "the chat format (default: the model's own)",
         0, 0},
        {0, "ctx", TOOL_U32, &v->session.ctx, "N",
         "most tokens of a prompt and its answer\n(default 4096, or what the model has)", 1,
         4294967295.0},
        {0, "parallel", TOOL_U32, &v->batch.slots, "N",
         "requests that are evaluated together (default 16)", 1, 256},
        {0, "queue", TOOL_U32, &v->batch.queue, "N",
         "requests that wait for that (default 256);\nmore are refused", 1, 100000},
        {0, "connections", TOOL_U32, &v->http.most_connections, "N",
         "most connections (default 512)", 1, 100000},
        {0, "body", TOOL_U64, &v->http.most_body, "BYTES",
         "most bytes of a request (default 4194304)", 0, 0},
        {0, "grace", TOOL_U32, &v->grace_s, "SECONDS",
         "time that requests have to end after SIGTERM\n(default 10)", 0, 3600},
        {0, "draft", TOOL_TEXT, &v->drafts.said, "auto|off|N",
         "guess tokens ahead: as many as pay, none\n(default), or always N (at most 30);\n"
         "answers are the same",
         0, 0},
        TOOL_SESSION_OPTIONS(v->session),
        TOOL_THREADS_OPTION(v->host),
        TOOL_DEVICE_OPTION(v->host),
        TOOL_HOST_OPTIONS(v->host),
    };
    const tool_spec spec = {.usage = "remora-server -m MODEL [options]",
                            .about =
                                "Answers OpenAI's API, /v1/chat/completions, /v1/completions and\n"
                                "/v1/models, for several clients at once; the page at / chats.",
                            .more = "example:\n  remora-server -m models/krill.remora --format "
                                    "deepseek-v3.1",
                            .options = options,
                            .n_options = sizeof options / sizeof options[0]};
    return tool_parse(&spec, argc, argv);
}

static int read_key(server *v)
{
    if (v->key_file == NULL) return TOOL_GO;
    FILE *f = fopen(v->key_file, "r");
    const char *line = f ? fgets(v->key, sizeof v->key, f) : NULL;
    if (f != NULL) fclose(f);
    v->key[strcspn(v->key, "\r\n")] = 0;
    if (line == NULL || v->key[0] == 0) return tool_usage("--key-file %s has no key", v->key_file);
    v->http.key = v->key;
    return TOOL_GO;
}

static int check(server *v)
{
    int code = read_key(v);
    if (code == TOOL_GO) code = tool_drafts_parse(&v->drafts);
    if (code != TOOL_GO) return code;
    v->batch.max_drafts = v->drafts.most;
    v->http.port = (uint16_t)v->port;
    v->http.any_name = !sv_http_is_loopback(v->http.host);
    if (v->http.any_name && v->http.key == NULL && !v->no_key)
        return tool_usage("--host %s lets others in: give --key-file, or --no-key", v->http.host);
    return TOOL_GO;
}

/* The name of the file or folder, without what is in front of it. */
static const char *base_name(char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') path[--n] = 0;
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static int describe(server *v, char *path)
{
    const remora_model_info *info = &v->host.info;
    if (!info->has_tokenizer) {
        fprintf(stderr, "remora-server: %s has no tokenizer\n", v->host.path);
        return TOOL_FAILED;
    }
    v->model.model = v->host.model;
    v->model.name = v->name ? v->name : base_name(path);
    v->model.format = v->format;
    v->model.created = (int64_t)time(NULL);
    int n = snprintf(v->model.fingerprint, sizeof v->model.fingerprint, "remora-");
    for (int i = 0; i < 8; i++)
        n += snprintf(v->model.fingerprint + n, sizeof v->model.fingerprint - (size_t)n, "%02x",
                      info->fingerprint[i]);
    const uint32_t wanted = v->session.ctx ? v->session.ctx : 4096;
    v->model.capacity = wanted < info->max_context ? wanted : info->max_context;
    tool_session_opts(&v->session, v->model.capacity, &v->batch.session);
    v->batch.session.flags = REMORA_SESSION_PAGES_AS_NEEDED;
    if (v->batch.session.chunk == 0) v->batch.session.chunk = 512;
    return TOOL_GO;
}

static int write_port(const server *v)
{
    if (v->port_file == NULL) return 0;
    FILE *f = fopen(v->port_file, "w");
    if (f == NULL) return -1;
    fprintf(f, "%u\n", sv_http_port(v->h));
    return fclose(f);
}

static int start(server *v)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_status st = sv_batch_start(&v->model, &v->batch, &v->b, &err);
    if (st < 0) return tool_fail(st, "session", &err);
    v->h = sv_http_start(&v->model, v->b, &v->http);
    if (v->h == NULL) return TOOL_FAILED;
    if (write_port(v) < 0) {
        fprintf(stderr, "remora-server: %s: %s\n", v->port_file, strerror(errno));
        return TOOL_FAILED;
    }
    if (!v->host.quiet)
        fprintf(stderr, "remora-server: %s on http://%s:%u/\n", v->model.name, v->http.host,
                sv_http_port(v->h));
    return TOOL_GO;
}

/* Requests that are under way may end, until the time is over or a second signal comes. */
static void let_end(server *v, const sigset_t *signals)
{
    const struct timespec moment = {0, 50 * 1000000};
    sv_http_close(v->h);
    for (uint32_t i = 0; sv_batch_close(v->b) > 0 && i < 20 * v->grace_s; i++)
        if (sigtimedwait(signals, NULL, &moment) > 0) break;
    sv_batch_stop(v->b);
    for (int i = 0; sv_http_open(v->h) > 0 && i < 40; i++)
        if (sigtimedwait(signals, NULL, &moment) > 0) break;
}

static int serve(server *v, const sigset_t *signals)
{
    char *path = strdup(v->host.path);
    int signal, code = path ? describe(v, path) : TOOL_FAILED;
    if (code == TOOL_GO) code = start(v);
    if (code == TOOL_GO) {
        sigwait(signals, &signal);
        let_end(v, signals);
        code = TOOL_OK;
    } else if (v->b != NULL) {
        sv_batch_stop(v->b);
    }
    if (v->h != NULL) sv_http_stop(v->h);
    if (v->b != NULL) sv_batch_free(v->b);
    free(path);
    return code;
}

int main(int argc, char **argv)
{
    server v = {
        .http = {.host = "127.0.0.1", .most_body = 4 << 20, .most_connections = 512, .idle_s = 60},
        .batch = {.slots = 16, .queue = 256, .most_unsent = 1 << 18},
        .port = 8080,
        .grace_s = 10,
        .drafts = {.said = "off"}};
    sigset_t signals;
    int code = parse(&v, argc, argv);
    if (code == TOOL_GO) code = check(&v);
    if (code != TOOL_GO) return code;
    signal(SIGPIPE, SIG_IGN);
    code = tool_open(&v.host, 0);
    /* Blocked here, and so in every thread that is made from here on. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (code == TOOL_GO) code = serve(&v, &signals);
    tool_close(&v.host);
    return code;
}
