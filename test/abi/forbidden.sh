# SPDX-License-Identifier: Apache-2.0
# Names that neither the library nor a module of it imports, as a pattern of grep -E: promises P1 (nothing that ends the
# process), P8 (no output), P9 (no globals of the process, environment, locale).
# shellcheck shell=sh disable=SC2034
ends='abort|exit|_exit|_Exit|quick_exit|__assert|__assert_fail|__assert_perror_fail|raise|kill|err|errx|signal|sigaction'
ends="$ends|longjmp|siglongjmp|__longjmp_chk|system|exec[a-z]*|fork|vfork"
prints='printf|vprintf|fprintf|vfprintf|dprintf|vdprintf|puts|fputs|putchar|fputc|putc|fwrite|perror|psignal|syslog'
prints="$prints|stdout|stderr|stdin|__(v?f?printf|v?dprintf)_chk"
global='getenv|secure_getenv|setenv|putenv|unsetenv|environ|setlocale|uselocale|newlocale|atexit|on_exit|at_quick_exit'
global="$global|__cxa_atexit|srand|rand|random|strtok|setrlimit|chdir|umask|sigprocmask"
hidden='qsort|qsort_r' # they may allocate behind the host's allocator; lib/io/sort.h does not
forbidden="^($ends|$prints|$global|$hidden)$"
