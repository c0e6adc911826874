/* SPDX-License-Identifier: BSD-3-Clause */
/* A test is a function that registers itself; a failed check() ends it, the next one still runs. Prints TAP. */
#ifndef HG_TEST_H
#define HG_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test {
        const char *name;
        void (*run)(void);
        struct test *next;
};

void test_register(struct test *test);
_Noreturn void test_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define TEST(function)                                                                  \
        static void function(void);                                                     \
        __attribute__((constructor)) static void register_##function(void)              \
        {                                                                               \
                static struct test test = { .name = #function, .run = function };       \
                test_register(&test);                                                   \
        }                                                                               \
        static void function(void)

#define check(condition)                                                                \
        do {                                                                            \
                if (!(condition))                                                       \
                        test_fail(__FILE__, __LINE__, "%s", #condition);                \
        } while (0)

#define check_equal(actual, expected)                                                                           \
        do {                                                                                                    \
                long long actual_ = (long long)(actual), expected_ = (long long)(expected);                     \
                if (actual_ != expected_)                                                                       \
                        test_fail(__FILE__, __LINE__, "%s is %lld, expected %lld", #actual, actual_, expected_); \
        } while (0)

/* Compares @len bytes and shows both in hex where they differ. */
#define check_bytes(actual, expected, len) test_check_bytes(__FILE__, __LINE__, #actual, actual, expected, len)
void test_check_bytes(const char *file, int line, const char *what, const void *actual, const void *expected, size_t len);

/* Hex text to bytes; returns the length; fails the test on bad hex or when it does not fit. */
size_t test_unhex(const char *hex, void *out, size_t max);

/* A deterministic `struct random` fill: splitmix64 from *(uint64_t *)context. */
void test_random_fill(void *context, void *out, size_t len);

#endif
