/* SPDX-License-Identifier: Apache-2.0 */
/* Version 2 of cgroups has one tree with a file cpu.max in each folder ("200000 100000" or
 * "max 100000": microseconds in each period); version 1 has a tree for the controller cpu, with the
 * quota (-1: none) and the period in two files. A container may see its own folder as the root of
 * the tree, while /proc/self/cgroup names it as the system does: folders that are not there are
 * passed over. */
#define _GNU_SOURCE
#include "cores.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TEXT = 8192, MAX_PATH = 4096 };

/* Read the beginning of a small file as text; 0 when there is none. */
static int read_text(const char *path, char *to, size_t cap)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    const ssize_t n = read(fd, to, cap - 1);
    close(fd);
    if (n < 0) return 0;
    to[n] = 0;
    return 1;
}

static uint32_t cores_of(long long quota, long long period)
{
    if (quota <= 0 || period <= 0) return UINT32_MAX;
    const long long n = quota / period + (quota % period != 0);
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static int read_number(const char *folder, const char *name, long long *out)
{
    char path[MAX_PATH], text[64];
    char *end;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) return 0;
    if (!read_text(path, text, sizeof text)) return 0;
    *out = strtoll(text, &end, 10);
    return end != text;
}

static uint32_t limit_v2(const char *folder)
{
    char path[MAX_PATH], text[64];
    char *end;
    if ((size_t)snprintf(path, sizeof path, "%s/cpu.max", folder) >= sizeof path) return UINT32_MAX;
    if (!read_text(path, text, sizeof text)) return UINT32_MAX;
    const long long quota = strtoll(text, &end, 10); /* "max" is no number */
    return end != text ? cores_of(quota, strtoll(end, NULL, 10)) : UINT32_MAX;
}

static uint32_t limit_v1(const char *folder)
{
    long long quota, period;
    if (!read_number(folder, "cpu.cfs_quota_us", &quota) ||
        !read_number(folder, "cpu.cfs_period_us", &period))
        return UINT32_MAX;
    return cores_of(quota, period);
}

/* The smallest limit of a folder below `mount` and of all folders above it, up to the mount. */
static uint32_t least(const char *root, const char *mount, const char *group,
                      uint32_t (*limit)(const char *folder))
{
    char folder[MAX_PATH];
    uint32_t n = UINT32_MAX;
    const int base = snprintf(folder, sizeof folder, "%s%s", root, mount);
    if (base < 0 || (size_t)base + strlen(group) >= sizeof folder) return n;
    memcpy(folder + base, group, strlen(group) + 1);
    for (;;) {
        const uint32_t here = limit(folder);
        if (here < n) n = here;
        char *slash = strrchr(folder + base, '/');
        if (slash == NULL) return n;
        *slash = 0;
    }
}

/* Is "cpu" one of the controllers in "cpu,cpuacct"? */
static int has_cpu(const char *list, size_t size)
{
    for (const char *p = list; p < list + size;) {
        const size_t n = strcspn(p, ",:");
        if (n == 3 && memcmp(p, "cpu", 3) == 0) return 1;
        p += n + 1;
    }
    return 0;
}

/* One line of /proc/self/cgroup: "number:controllers:path". */
static uint32_t limit_of_line(const char *root, const char *line)
{
    static const char *const v1[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"};
    const char *list = strchr(line, ':'), *path = list != NULL ? strchr(list + 1, ':') : NULL;
    uint32_t n = UINT32_MAX;
    if (path == NULL) return n;
    if (path == list + 1) {
        const uint32_t plain = least(root, "/sys/fs/cgroup", path + 1, limit_v2),
                       beside = least(root, "/sys/fs/cgroup/unified", path + 1, limit_v2);
        return plain < beside ? plain : beside;
    }
    for (int i = 0; i < 2 && has_cpu(list + 1, (size_t)(path - list - 1)); i++) {
        const uint32_t here = least(root, v1[i], path + 1, limit_v1);
        if (here < n) n = here;
    }
    return n;
}

uint32_t rmr_cgroup_cores(const char *root)
{
    char path[MAX_PATH], text[MAX_TEXT];
    uint32_t n = UINT32_MAX;
    if ((size_t)snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= sizeof path) return n;
    if (!read_text(path, text, sizeof text)) return n;
    for (char *line = text; *line != 0;) {
        char *end = line + strcspn(line, "\n");
        const int last = *end == 0;
        *end = 0;
        const uint32_t here = limit_of_line(root, line);
        if (here < n) n = here;
        line = last ? end : end + 1;
    }
    return n;
}

static uint32_t bound_cores(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

rmr_cores rmr_usable_cores(const char *root)
{
    const uint32_t bound = bound_cores(), group = rmr_cgroup_cores(root);
    return group < bound ? (rmr_cores){group > 0 ? group : 1, 1} : (rmr_cores){bound, 0};
}
