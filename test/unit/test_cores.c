/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup's limit, read from files under a root of the test's own: version 2 and 1, both beside
 * each other, limits further up, a container that sees its folder as the root, and files that are
 * missing or say something else. */
#define _GNU_SOURCE
#include <sched.h>
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
    {UINT32_MAX, {"sys/fs/cgroup/cpu.max", "100000 100000\n"}},
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
    {8,
     {"proc/self/cgroup", "4:cpuacct,cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "800000\n",
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

static uint32_t bound(void)
{
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    return (uint32_t)CPU_COUNT(&set);
}

/* The limit of a system with these files, and what the process may use there. */
static uint32_t limit_with(const char *const *files)
{
    char root[] = "/tmp/remora-cores-XXXXXX", command[64];
    assert_non_null(mkdtemp(root));
    for (int k = 0; files[k] != NULL; k += 2) put_file(root, files[k], files[k + 1]);
    const uint32_t limit = rmr_cgroup_cores(root);
    const rmr_cores c = rmr_usable_cores(root);
    snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
    assert_int_equal(c.by_cgroup, limit < bound());
    assert_int_equal(c.n, limit < bound() ? limit : bound());
    return limit;
}

static void limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint32_t got = limit_with(cases[i].files);
        if (got != cases[i].cores) fail_msg("case %zu: %u cores, not %u", i, got, cases[i].cores);
    }
}

/* The limit counts where it is less than the cores that the process is bound to. */
static void on_fewer_cores(void **state)
{
    cpu_set_t all, one;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(bound(), 1);
    limits(state);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits),
        cmocka_unit_test(on_fewer_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
