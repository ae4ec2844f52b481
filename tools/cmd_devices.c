/* SPDX-License-Identifier: Apache-2.0 */
/* remora devices: where models can run, and why not where they cannot. */
#include "commands.h"
#include "host.h"
#include "output.h"

static void add_bytes(tool_table *t, uint64_t bytes, int format)
{
    if (bytes == 0)
        tool_table_add(t, "%s", format == TOOL_JSON ? "null" : "");
    else if (format == TOOL_MD)
        tool_table_add(t, "%.1f GiB", (double)bytes / (1 << 30));
    else
        tool_table_add(t, "%llu", (unsigned long long)bytes);
}

static void add_device(tool_table *t, const remora_device *d, int format)
{
    tool_table_add(t, "%s", d->id);
    tool_table_add(t, "%s", d->name);
    tool_table_add(t, "%s", d->paths);
    add_bytes(t, d->mem_total, format);
    add_bytes(t, d->mem_free, format);
    if (d->usable >= 0)
        tool_table_add(t, "yes");
    else
        tool_table_add(t, "no: %s", d->reason);
}

static int list(tool_host *h, tool_table *t, int format)
{
    remora_error err = {.struct_size = sizeof err};
    remora_device d = {.struct_size = sizeof d};
    const int code = tool_runtime(h);
    if (code != TOOL_GO) return code;
    const uint32_t n = remora_device_count(h->rt);
    for (uint32_t i = 0; i < n; i++) {
        const remora_status st = remora_device_get(h->rt, i, &d, &err);
        if (st < 0) return tool_fail(st, "devices", &err);
        add_device(t, &d, format);
    }
    return tool_table_print(t, format) < 0 ? TOOL_FAILED : TOOL_OK;
}

int tool_devices(int argc, char **argv)
{
    static const tool_column columns[] = {{"device", TOOL_CELL_TEXT},  {"name", TOOL_CELL_TEXT},
                                          {"kernels", TOOL_CELL_TEXT}, {"memory", TOOL_CELL_NUMBER},
                                          {"free", TOOL_CELL_NUMBER},  {"usable", TOOL_CELL_TEXT}};
    tool_host h = {.log_level = REMORA_LOG_INFO}; /* says why there are no GPUs */
    tool_table t = {.columns = columns, .n_columns = sizeof columns / sizeof columns[0]};
    int format = TOOL_MD;
    const tool_option options[] = {
        {'o', "output", TOOL_CHOICE, &format, TOOL_FORMATS, "(default md)", 0, 0},
        TOOL_ISA_OPTION(h),
    };
    const tool_spec spec = {
        .usage = "remora devices [options]",
        .about =
            "Lists the devices that --device takes, with their memory. Of a GPU that cannot be\n"
            "used it says why. Where there is none, a line on stderr says what is missing.",
        .options = options,
        .n_options = sizeof options / sizeof options[0]};
    int code = tool_parse(&spec, argc, argv);
    if (code == TOOL_GO) code = list(&h, &t, format);
    tool_table_free(&t);
    tool_close(&h);
    return code;
}
