/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the body of a request to the server of examples/server: numbers in their ranges and
 * texts that lie in the body, or a refusal that can be sent. The first byte says which path. */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/server/request.h"
#include "../../examples/server/stops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) abort();
}

static int in(double x, double lo, double hi)
{
    return x >= lo && x <= hi;
}

static void look(const sv_request *r)
{
    require(in(r->temperature, 0, 2) && in(r->top_p, 0, 1) && in(r->min_p, 0, 1));
    require(in(r->frequency, -2, 2) && in(r->presence, -2, 2) && r->top <= SV_MOST_TOP);
    require(r->n_stop <= SV_MOST_STOPS && r->n_bias <= SV_MOST_BIASES);
    require(r->max_tokens <= INT32_MAX && (r->kind == SV_CHAT || r->max_tokens > 0));
    for (size_t i = 0; i < r->n_stop; i++) require(r->stop[i].len > 0 && r->stop[i].len <= 4096);
    for (size_t i = 0; i < r->n_bias; i++)
        require(r->bias[i].token >= 0 && in(r->bias[i].value, -100, 100));
    if (r->kind == SV_CHAT) return;
    require((r->prompt.ptr != NULL) != (r->prompt_tokens != NULL));
    for (size_t i = 0; i < json_array_size(r->prompt_tokens); i++)
        require(json_is_integer(json_array_get(r->prompt_tokens, i)));
    require(!r->has_suffix || r->prompt.ptr != NULL);
    require(r->grammar.len == 0 || r->schema.len == 0);
}

/* The text comes in pieces of so many bytes; what goes out is what lies before the first stop. */
static void stop_in_pieces(const sv_request *r, const char *text, size_t n, size_t piece)
{
    sv_stops s = {.stop = r->stop, .n = r->n_stop};
    size_t out = 0;
    for (size_t at = 0; at < n; at += piece) {
        const size_t k = n - at < piece ? n - at : piece;
        require(sv_stops_add(&s, text + at, k) == 0 && s.ready <= s.held.n);
        require(s.ready == 0 || memcmp(s.held.s, text + out, s.ready) == 0);
        out += s.ready;
        sv_stops_took(&s);
    }
    if (!s.found) sv_stops_end(&s);
    out += s.ready;
    require(s.found ? out < n : out == n);
    for (size_t i = 0; i < r->n_stop; i++)
        require(memmem(text, out, r->stop[i].ptr, (size_t)r->stop[i].len) == NULL);
    free(s.held.s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sv_request r;
    sv_problem why;
    if (size < 1) return 0;
    const char *body = (const char *)data + 1;
    const size_t n = size - 1;
    if (sv_request_read(body, n, data[0] & 1 ? SV_COMPLETION : SV_CHAT, &r, &why) == 0) {
        require(why.http == 0);
        look(&r);
        for (size_t piece = 1; piece < 4; piece++) stop_in_pieces(&r, body, n, piece);
    } else {
        require(why.http == 400 && why.message[0] && memchr(why.message, 0, sizeof why.message));
    }
    sv_request_free(&r);
    return 0;
}
