/* SPDX-License-Identifier: Apache-2.0 */
/* The module with its kernels, as the library opens it: open_module PATH. Another version is
 * refused, and where there is no driver or no GPU the answer is a status that says so. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "handshake.h"

static int say(const char *what)
{
    puts(what);
    return 1;
}

int main(int argc, char **argv)
{
    rmr_ctx ctx = {0};
    rmr_module_open_fn *open = NULL;
    remora_error err = {.struct_size = sizeof err};
    rmr_match other = rmr_match_here();
    rmr_module m = {0};
    void *const object = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (object == NULL) return say(argc == 2 ? dlerror() : "open_module PATH");
    void *const symbol = dlsym(object, RMR_MODULE_OPEN);
    memcpy(&open, &symbol, sizeof open);
    if (open == NULL) return say("it has no function " RMR_MODULE_OPEN);
    rmr_mem_init(&ctx.mem);
    other.sizes++;
    remora_status st = open(&(rmr_host){other, &ctx, ""}, &m, &err);
    if (st != REMORA_E_UNSUPPORTED || strstr(err.message, "version") == NULL ||
        !rmr_match_is(m.match, rmr_match_here()))
        return say("a library of another version is not refused");
    st = open(&(rmr_host){rmr_match_here(), &ctx, "fast"}, &m, &err);
    if (st != REMORA_E_UNSUPPORTED || strstr(err.message, "fast") == NULL)
        return say("a word that is not known is not refused");
    st = open(&(rmr_host){rmr_match_here(), &ctx, ""}, &m, &err);
    if (st < 0 && (st != REMORA_E_UNSUPPORTED || err.message[0] == 0)) return say(err.message);
    puts(st < 0 ? err.message : "there are GPUs");
    if (st >= 0) m.close(m.user);
    if (atomic_load(&ctx.mem.bytes) != 0) return say("memory is left");
    return dlclose(object) != 0 ? say("it cannot be closed") : 0;
}
