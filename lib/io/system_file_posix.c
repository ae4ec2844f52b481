/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* madvise: posix_madvise(DONTNEED) does nothing on glibc */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "system_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h> /* renameat */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGEST ((uint64_t)1 << 30) /* below SSIZE_MAX and Linux's own 2 GiB limit per call */

static int facts_of(const struct stat *st, rmr_file_facts *out)
{
    *out = (rmr_file_facts){S_ISREG(st->st_mode)   ? RMR_KIND_FILE
                            : S_ISDIR(st->st_mode) ? RMR_KIND_FOLDER
                                                   : RMR_KIND_OTHER,
                            (uint64_t)st->st_size, st->st_mtim.tv_sec, st->st_mtim.tv_nsec};
    return 0;
}

int rmr_sys_look(const char *path, rmr_file_facts *out)
{
    struct stat st;
    return stat(path, &st) == 0 ? facts_of(&st, out) : -1;
}

int rmr_sys_look_in(rmr_handle folder, const char *name, rmr_file_facts *out)
{
    struct stat st;
    return fstatat((int)folder, name, &st, 0) == 0 ? facts_of(&st, out) : -1;
}

int rmr_sys_look_at(rmr_handle h, rmr_file_facts *out)
{
    struct stat st;
    return fstat((int)h, &st) == 0 ? facts_of(&st, out) : -1;
}

int64_t rmr_sys_link_in(rmr_handle folder, const char *name, char *to, size_t cap)
{
    return readlinkat((int)folder, name, to, cap);
}

static int open_at(int folder, const char *name, int flags)
{
    int fd;
    do fd = openat(folder, name, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

rmr_handle rmr_sys_open_folder(const char *path)
{
    return open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
}

rmr_handle rmr_sys_open_in(rmr_handle folder, const char *name)
{
    return open_at((int)folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
}

rmr_handle rmr_sys_make_in(rmr_handle folder, const char *name)
{
    return open_at((int)folder, name, O_RDWR | O_CREAT | O_EXCL);
}

rmr_handle rmr_sys_make(const char *path)
{
    return open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC);
}

void rmr_sys_close(rmr_handle h)
{
    close((int)h);
}

int rmr_sys_list(rmr_handle folder, const char *name, int (*fn)(void *user, const char *name),
                 void *user)
{
    const int fd = open_at((int)folder, name, O_RDONLY | O_DIRECTORY); /* an offset of its own */
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (d == NULL) {
        const int e = errno;
        if (fd >= 0) close(fd);
        errno = e;
        return -1;
    }
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (fn(user, e->d_name)) break;
    closedir(d);
    return 0;
}

int rmr_sys_remove_in(rmr_handle folder, const char *name)
{
    return unlinkat((int)folder, name, 0);
}

int rmr_sys_rename_in(rmr_handle folder, const char *from, const char *to)
{
    return renameat((int)folder, from, (int)folder, to);
}

int64_t rmr_sys_read(rmr_handle h, uint64_t off, void *p, uint64_t n)
{
    ssize_t got;
    do got = pread((int)h, p, (size_t)(n < LARGEST ? n : LARGEST), (off_t)off);
    while (got < 0 && errno == EINTR);
    return got;
}

int64_t rmr_sys_write(rmr_handle h, uint64_t off, const void *p, uint64_t n)
{
    ssize_t put;
    do put = pwrite((int)h, p, (size_t)(n < LARGEST ? n : LARGEST), (off_t)off);
    while (put < 0 && errno == EINTR);
    return put;
}

int rmr_sys_resize(rmr_handle h, uint64_t size)
{
    return ftruncate((int)h, (off_t)size);
}

int rmr_sys_sync(rmr_handle h)
{
    int r;
    do r = fsync((int)h);
    while (r != 0 && errno == EINTR);
    /* file systems that cannot sync say so: nothing more can be done there */
    return r == 0 || errno == EINVAL || errno == ENOSYS ? 0 : -1;
}

void rmr_sys_forget(rmr_handle h)
{
#if defined(POSIX_FADV_DONTNEED)
    (void)posix_fadvise((int)h, 0, 0, POSIX_FADV_DONTNEED);
#else
    (void)h;
#endif
}

uint64_t rmr_sys_largest_file(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur
                                                                                   : INT64_MAX;
}

void *rmr_sys_map(rmr_handle h, uint64_t size)
{
    void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, (int)h, 0);
    return p != MAP_FAILED ? p : NULL;
}

void rmr_sys_unmap(void *p, uint64_t size)
{
    munmap(p, (size_t)size);
}

/* Clean pages are dropped. */
void rmr_sys_map_done(const void *p, uint64_t size, uint64_t off, uint64_t n)
{
    const long page_size = sysconf(_SC_PAGESIZE);
    if (page_size <= 0) return;
    const uint64_t page = (uint64_t)page_size;
    const uint64_t begin = rmr_round_up(off, page);
    const uint64_t end = off + n == size ? size : (off + n) / page * page;
    if (begin < end)
        (void)madvise((void *)((uintptr_t)p + begin), (size_t)(end - begin), MADV_DONTNEED);
}
