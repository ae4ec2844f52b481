/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup's limit, read from files under a root of the test's own: version 2 and 1, both beside
 * each other, limits further up, a container that sees its folder as the root, and files that are
 * missing or say something else. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "cores.h"

/* Path and text of a file, in turn; NULL ends the list. */
static const struct {
    uint32_t cores;
    const char *files[12];
} cases[] = {
    {UINT32_MAX, {NULL}},
    {UINT32_MAX, {"proc/self/cgroup", "0::/\n"}},
    {2, {"proc/self/cgroup", "0::/\n", "sys/fs/cgroup/cpu.max", "200000 100000\n"}},
    {2, {"proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/a/cpu.max", "150000 100000\n"}},
    {1, {"proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/a/cpu.max", "1000 100000\n"}},
    {UINT32_MAX, {"proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/a/cpu.max", "max 100000\n"}},
    {3,
     {"proc/self/cgroup", "0::/a/b/c\n", "sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n",
      "sys/fs/cgroup/a/b/cpu.max", "600000 100000\n", "sys/fs/cgroup/a/cpu.max",
      "300000 100000\n"}},
    {4, {"proc/self/cgroup", "0::/not/here\n", "sys/fs/cgroup/cpu.max", "400000 100000\n"}},
    {2,
     {"proc/self/cgroup", "12:memory:/m\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n0::/\n",
      "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "100001\n",
      "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n"}},
    {UINT32_MAX,
     {"proc/self/cgroup", "4:cpu:/x\n", "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n",
      "sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"}},
    {5,
     {"proc/self/cgroup", "4:cpu:/x\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "500000\n",
      "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
    {UINT32_MAX,
     {"proc/self/cgroup", "5:cpuset:/x\n", "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "100000\n",
      "sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n"}},
    {7, {"proc/self/cgroup", "0::/u\n", "sys/fs/cgroup/unified/u/cpu.max", "700000 100000\n"}},
    {UINT32_MAX, {"proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/a/cpu.max", "100000 0\n"}},
    {UINT32_MAX, {"proc/self/cgroup", "nonsense", "sys/fs/cgroup/cpu.max", "100000 100000"}},
    {6, {"proc/self/cgroup", "0::/a", "sys/fs/cgroup/a/cpu.max", "600000 100000"}},
};

static void put_file(const char *root, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        mkdir(path, 0777);
        *p = '/';
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

static void limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char root[] = "/tmp/remora-cores-XXXXXX", command[64];
        assert_non_null(mkdtemp(root));
        for (int k = 0; cases[i].files[k] != NULL; k += 2)
            put_file(root, cases[i].files[k], cases[i].files[k + 1]);
        const uint32_t got = rmr_cgroup_cores(root);
        snprintf(command, sizeof command, "rm -rf %s", root);
        assert_int_equal(system(command), 0);
        if (got != cases[i].cores) fail_msg("case %zu: %u cores, not %u", i, got, cases[i].cores);
    }
}

static void of_this_process(void **state)
{
    const rmr_cores c = rmr_usable_cores();
    (void)state;
    assert_true(c.n >= 1);
    if (c.by_cgroup) assert_int_equal(c.n, rmr_cgroup_cores(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits),
        cmocka_unit_test(of_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
