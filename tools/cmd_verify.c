/* SPDX-License-Identifier: Apache-2.0 */
/* remora verify: whether a pack is whole, and computes here what it did where it was made. */
#include "commands.h"
#include "host.h"
#include "output.h"

static int parse(tool_host *h, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(*h),
        TOOL_THREADS_OPTION(*h),
        TOOL_ISA_OPTION(*h),
        {'q', "quiet", TOOL_FLAG, &h->quiet, NULL, "only errors on stderr", 0, 0},
        {'v', "verbose", TOOL_FLAG, &h->verbose, NULL, "the library's log on stderr", 0, 0},
    };
    const tool_spec spec = {
        .usage = "remora verify -m FILE.remora [options]",
        .about =
            "Compares every checksum of a pack and runs the self-test that is stored in it: a\n"
            "damaged download fails the first, a wrong build the second.",
        .options = options,
        .n_options = sizeof options / sizeof options[0]};
    return tool_parse(&spec, argc, argv);
}

static int32_t REMORA_CALL on_progress(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    tool_bar("checking", done, total);
    return 0;
}

static int run(tool_host *h)
{
    remora_error err = {.struct_size = sizeof err};
    remora_verify_report r = {.struct_size = sizeof r};
    remora_source src;
    const remora_verify_opts opts = {.struct_size = sizeof opts,
                                     .cancel = tool_cancel(),
                                     .progress = h->quiet ? NULL : on_progress};
    if (!h->path) return tool_usage("no model: -m PATH is needed");
    const int code = tool_runtime(h);
    if (code != TOOL_GO) return code;
    tool_source(h, &src);
    const remora_status st = remora_verify(h->rt, &src, &opts, &r, &err);
    if (!h->quiet) tool_bar_clear();
    if (st < 0) return tool_fail(st, h->path, &err);
    tool_printf("checksums: ok\nself-test: %s\n", r.self_test == REMORA_E_NOT_FOUND
                                                      ? "the pack has none"
                                                  : r.exact ? "ok, to the bit"
                                                            : "ok, but not to the bit");
    return TOOL_OK;
}

int tool_verify(int argc, char **argv)
{
    tool_host h = {0};
    int code = parse(&h, argc, argv);
    if (code != TOOL_GO) return code;
    code = run(&h);
    tool_close(&h);
    return code;
}
