/* SPDX-License-Identifier: Apache-2.0 */
/* UNDER_ASAN, UNDER_TSAN: 1 in builds with that sanitizer of gcc or clang, else 0. */
#ifndef TEST_SANITIZERS_H
#define TEST_SANITIZERS_H

#if defined(__has_feature)
#define SANITIZER_OF_CLANG(name) __has_feature(name)
#else
#define SANITIZER_OF_CLANG(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SANITIZER_OF_CLANG(address_sanitizer)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || SANITIZER_OF_CLANG(thread_sanitizer)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

#endif
