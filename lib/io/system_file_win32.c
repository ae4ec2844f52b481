/* SPDX-License-Identifier: Apache-2.0 */
/* A folder is a handle, and names are opened in it by NtCreateFile: the system's openat(). Every
 * handle lets others read, write, rename and remove the file meanwhile, as elsewhere; only a mapped
 * file cannot be made shorter here. */
#include "system_file.h"

#include <errno.h>
#include <string.h>
#include <windows.h>

#include <winternl.h>

#include "wide.h"

enum { SHARED = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE };
enum { LARGEST = 1 << 30, NAME_UNITS = 256, NAME_BYTES = 3 * NAME_UNITS, LIST_BYTES = 8192 };
enum { RENAME_CLASS = 10, RENAME_CLASS_EX = 65 }; /* FileRenameInformation, and ..Ex */

static int errno_of(DWORD e)
{
    switch (e) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_DRIVE:
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_NET_NAME:
    case ERROR_INVALID_NAME: return ENOENT;
    case ERROR_DIRECTORY: return ENOTDIR;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION:
    case ERROR_USER_MAPPED_FILE: return EACCES;
    case ERROR_WRITE_PROTECT: return EROFS;
    case ERROR_TOO_MANY_OPEN_FILES: return EMFILE;
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY:
    case ERROR_COMMITMENT_LIMIT: return ENOMEM;
    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS: return EEXIST;
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL: return ENOSPC;
    case ERROR_FILE_TOO_LARGE: return EFBIG;
    case ERROR_FILENAME_EXCED_RANGE: return ENAMETOOLONG;
    default: return EIO;
    }
}

/* Set errno; returns -1. */
static int failed(DWORD e)
{
    errno = errno_of(e);
    return -1;
}

static int last_failed(void)
{
    return failed(GetLastError());
}

static int nt_failed(NTSTATUS st)
{
    return failed(RtlNtStatusToDosError(st));
}

static HANDLE of(rmr_handle h)
{
    return (HANDLE)h;
}

/* ---- opening ---- */

/* A name in a folder; "." is the folder itself, opened anew. */
static rmr_handle open_name(rmr_handle folder, const char *name, ACCESS_MASK access, ULONG how,
                            ULONG options)
{
    wchar_t wide[NAME_UNITS];
    IO_STATUS_BLOCK io;
    HANDLE h;
    const int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, name, -1, wide, NAME_UNITS);
    if (n == 0) return failed(ERROR_FILE_NOT_FOUND);
    const USHORT bytes = strcmp(name, ".") != 0 ? (USHORT)((n - 1) * (int)sizeof *wide) : 0;
    UNICODE_STRING text = {bytes, bytes, wide};
    OBJECT_ATTRIBUTES what;
    InitializeObjectAttributes(&what, &text, OBJ_CASE_INSENSITIVE, of(folder), NULL);
    const NTSTATUS st =
        NtCreateFile(&h, access | SYNCHRONIZE, &what, &io, NULL, FILE_ATTRIBUTE_NORMAL, SHARED, how,
                     options | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
    return st >= 0 ? (rmr_handle)h : nt_failed(st);
}

static rmr_handle open_path(const char *path, DWORD access, DWORD how)
{
    wchar_t wide[RMR_WIDE_PATH];
    if (!rmr_wide_path(path, wide)) return failed(ERROR_FILE_NOT_FOUND);
    const HANDLE h = CreateFileW(wide, access, SHARED, NULL, how, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    return h != INVALID_HANDLE_VALUE ? (rmr_handle)h : last_failed();
}

rmr_handle rmr_sys_open_folder(const char *path)
{
    rmr_file_facts facts;
    const rmr_handle h = open_path(path, GENERIC_READ, OPEN_EXISTING);
    if (h == -1 || (rmr_sys_look_at(h, &facts) == 0 && facts.kind == RMR_KIND_FOLDER)) return h;
    rmr_sys_close(h);
    errno = ENOTDIR;
    return -1;
}

rmr_handle rmr_sys_open_in(rmr_handle folder, const char *name)
{
    return open_name(folder, name, GENERIC_READ, FILE_OPEN, 0);
}

rmr_handle rmr_sys_make_in(rmr_handle folder, const char *name)
{
    return open_name(folder, name, GENERIC_READ | GENERIC_WRITE, FILE_CREATE,
                     FILE_NON_DIRECTORY_FILE);
}

rmr_handle rmr_sys_make(const char *path)
{
    return open_path(path, GENERIC_WRITE, CREATE_ALWAYS);
}

void rmr_sys_close(rmr_handle h)
{
    CloseHandle(of(h));
}

/* ---- looking ---- */

int rmr_sys_look_at(rmr_handle h, rmr_file_facts *out)
{
    /* FILETIME counts 100 ns from 1601 on */
    const int64_t second = 10000000, before_1970 = 11644473600;
    BY_HANDLE_FILE_INFORMATION i;
    if (GetFileType(of(h)) != FILE_TYPE_DISK) {
        *out = (rmr_file_facts){.kind = RMR_KIND_OTHER};
        return 0;
    }
    if (!GetFileInformationByHandle(of(h), &i)) return last_failed();
    const uint64_t time =
        (uint64_t)i.ftLastWriteTime.dwHighDateTime << 32 | i.ftLastWriteTime.dwLowDateTime;
    out->kind = i.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY ? RMR_KIND_FOLDER : RMR_KIND_FILE;
    out->size = (uint64_t)i.nFileSizeHigh << 32 | i.nFileSizeLow;
    out->written_s = (int64_t)time / second - before_1970;
    out->written_ns = (int64_t)time % second * 100;
    return 0;
}

static int look_and_close(rmr_handle h, rmr_file_facts *out)
{
    if (h == -1) return -1;
    const int r = rmr_sys_look_at(h, out);
    const int e = errno;
    rmr_sys_close(h);
    errno = e;
    return r;
}

int rmr_sys_look(const char *path, rmr_file_facts *out)
{
    return look_and_close(open_path(path, FILE_READ_ATTRIBUTES, OPEN_EXISTING), out);
}

int rmr_sys_look_in(rmr_handle folder, const char *name, rmr_file_facts *out)
{
    return look_and_close(open_name(folder, name, FILE_READ_ATTRIBUTES, FILE_OPEN, 0), out);
}

/* A link that leads nowhere is told from a missing file nowhere. */
int64_t rmr_sys_link_in(rmr_handle folder, const char *name, char *to, size_t cap)
{
    (void)folder, (void)name, (void)to, (void)cap;
    errno = ENOENT;
    return -1;
}

/* The names of one answer of the system; 1: fn wants no more. */
static int tell_names(const unsigned char *at, int (*fn)(void *user, const char *name), void *user)
{
    for (;;) {
        FILE_FULL_DIR_INFO head;
        char name[NAME_BYTES + 1];
        memcpy(&head, at, sizeof head);
        const wchar_t *const wide =
            (const wchar_t *)(const void *)(at + offsetof(FILE_FULL_DIR_INFO, FileName));
        const int n = WideCharToMultiByte(CP_UTF8, 0, wide, (int)(head.FileNameLength / 2), name,
                                          NAME_BYTES, NULL, NULL);
        name[n] = 0;
        if (n > 0 && fn(user, name)) return 1;
        if (head.NextEntryOffset == 0) return 0;
        at += head.NextEntryOffset;
    }
}

int rmr_sys_list(rmr_handle folder, const char *name, int (*fn)(void *user, const char *name),
                 void *user)
{
    _Alignas(8) unsigned char answer[LIST_BYTES];
    const rmr_handle h =
        open_name(folder, name, FILE_LIST_DIRECTORY, FILE_OPEN, FILE_DIRECTORY_FILE);
    if (h == -1) return -1;
    while (GetFileInformationByHandleEx(of(h), FileFullDirectoryInfo, answer, LIST_BYTES))
        if (tell_names(answer, fn, user)) {
            rmr_sys_close(h);
            return 0;
        }
    const DWORD e = GetLastError();
    rmr_sys_close(h);
    return e == ERROR_NO_MORE_FILES ? 0 : failed(e);
}

/* ---- changing a folder ---- */

int rmr_sys_remove_in(rmr_handle folder, const char *name)
{
    const rmr_handle h = open_name(folder, name, DELETE, FILE_OPEN, FILE_DELETE_ON_CLOSE);
    if (h == -1) return -1;
    rmr_sys_close(h);
    return 0;
}

int rmr_sys_rename_in(rmr_handle folder, const char *from, const char *to)
{
    union {
        FILE_RENAME_INFO info;
        unsigned char room[sizeof(FILE_RENAME_INFO) + NAME_UNITS * sizeof(wchar_t)];
    } u;
    IO_STATUS_BLOCK io;
    memset(&u, 0, sizeof u);
    const int n =
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, to, -1, u.info.FileName, NAME_UNITS);
    if (n == 0) return failed(ERROR_INVALID_NAME);
    const rmr_handle h = open_name(folder, from, DELETE, FILE_OPEN, 0);
    if (h == -1) return -1;
    u.info.RootDirectory = of(folder);
    u.info.FileNameLength = (DWORD)((n - 1) * (int)sizeof(wchar_t));
    DWORD flags = 3; /* over what is there, also while somebody has it open */
    memcpy(&u, &flags, sizeof flags);
    NTSTATUS st =
        NtSetInformationFile(of(h), &io, &u, sizeof u, (FILE_INFORMATION_CLASS)RENAME_CLASS_EX);
    if (st < 0) { /* a system, or a file system, that cannot */
        flags = 1;
        memcpy(&u, &flags, sizeof flags);
        st = NtSetInformationFile(of(h), &io, &u, sizeof u, (FILE_INFORMATION_CLASS)RENAME_CLASS);
    }
    rmr_sys_close(h);
    return st >= 0 ? 0 : nt_failed(st);
}

/* ---- bytes ---- */

static OVERLAPPED place_of(uint64_t off)
{
    return (OVERLAPPED){.Offset = (DWORD)off, .OffsetHigh = (DWORD)(off >> 32)};
}

int64_t rmr_sys_read(rmr_handle h, uint64_t off, void *p, uint64_t n)
{
    OVERLAPPED at = place_of(off);
    DWORD got = 0;
    if (ReadFile(of(h), p, (DWORD)(n < LARGEST ? n : LARGEST), &got, &at)) return got;
    return GetLastError() == ERROR_HANDLE_EOF ? 0 : last_failed();
}

int64_t rmr_sys_write(rmr_handle h, uint64_t off, const void *p, uint64_t n)
{
    OVERLAPPED at = place_of(off);
    DWORD put = 0;
    if (WriteFile(of(h), p, (DWORD)(n < LARGEST ? n : LARGEST), &put, &at)) return put;
    return last_failed();
}

int rmr_sys_resize(rmr_handle h, uint64_t size)
{
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)size};
    return SetFileInformationByHandle(of(h), FileEndOfFileInfo, &end, sizeof end) ? 0
                                                                                  : last_failed();
}

/* A folder needs none: its changes are in the file system's log. */
int rmr_sys_sync(rmr_handle h)
{
    rmr_file_facts facts;
    if (rmr_sys_look_at(h, &facts) == 0 && facts.kind == RMR_KIND_FOLDER) return 0;
    return FlushFileBuffers(of(h)) ? 0 : last_failed();
}

void rmr_sys_forget(rmr_handle h)
{
    (void)h;
}

uint64_t rmr_sys_largest_file(void)
{
    return INT64_MAX;
}

/* ---- mapping ---- */

void *rmr_sys_map(rmr_handle h, uint64_t size)
{
    const HANDLE section = CreateFileMappingW(of(h), NULL, PAGE_READONLY, 0, 0, NULL);
    if (section == NULL) return NULL;
    void *p = MapViewOfFile(section, FILE_MAP_READ, 0, 0, (SIZE_T)size);
    CloseHandle(section); /* the view keeps it */
    return p;
}

void rmr_sys_unmap(void *p, uint64_t size)
{
    (void)size;
    UnmapViewOfFile(p);
}

/* Unlocking pages that are not locked takes them out of the working set. */
void rmr_sys_map_done(const void *p, uint64_t size, uint64_t off, uint64_t n)
{
    const uint64_t page = 4096;
    const uint64_t begin = rmr_round_up(off, page);
    const uint64_t end = off + n == size ? size : (off + n) / page * page;
    if (begin < end) (void)VirtualUnlock((void *)((uintptr_t)p + begin), (SIZE_T)(end - begin));
}
