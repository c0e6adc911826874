/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct test *first_test, **last_test = &first_test;
static jmp_buf failed;

void test_register(struct test *test)
{
        *last_test = test;
        last_test = &test->next;
}

void test_fail(const char *file, int line, const char *format, ...)
{
        va_list args;

        printf("# %s:%d: ", file, line);
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        printf("\n");
        longjmp(failed, 1);
}

static void hex(const uint8_t *bytes, size_t len, char *out, size_t out_len)
{
        size_t shown = len * 2 < out_len ? len : (out_len - 1) / 2;

        for (size_t i = 0; i < shown; i++)
                snprintf(out + 2 * i, 3, "%02x", bytes[i]);
        out[2 * shown] = '\0';
}

void test_check_bytes(const char *file, int line, const char *what, const void *actual, const void *expected, size_t len)
{
        char left[513], right[513];

        if (len == 0 || memcmp(actual, expected, len) == 0)
                return;
        hex(actual, len, left, sizeof(left));
        hex(expected, len, right, sizeof(right));
        test_fail(file, line, "%s (%zu bytes) is %s, expected %s", what, len, left, right);
}

size_t test_unhex(const char *text, void *out, size_t max)
{
        size_t len = strlen(text) / 2;
        uint8_t *bytes = out;

        if (strlen(text) % 2 || len > max)
                test_fail(__FILE__, __LINE__, "bad or too long hex: %.40s", text);
        for (size_t i = 0; i < len; i++) {
                unsigned value;

                if (sscanf(text + 2 * i, "%2x", &value) != 1)
                        test_fail(__FILE__, __LINE__, "bad hex: %.40s", text);
                bytes[i] = (uint8_t)value;
        }
        return len;
}

void test_random_fill(void *context, void *out, size_t len)
{
        uint64_t *state = context, word = 0;
        uint8_t *bytes = out;

        for (size_t i = 0; i < len; i++) {
                if (i % 8 == 0) {
                        word = *state += 0x9e3779b97f4a7c15;
                        word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
                        word = (word ^ word >> 27) * 0x94d049bb133111eb;
                        word ^= word >> 31;
                }
                bytes[i] = (uint8_t)(word >> (8 * (i % 8)));
        }
}

/* Any arguments: run only the tests whose name contains one of them. */
static bool chosen(const char *name, int argc, char **argv)
{
        for (int i = 1; i < argc; i++)
                if (strstr(name, argv[i]))
                        return true;
        return argc < 2;
}

int main(int argc, char **argv)
{
        volatile int number = 0, failures = 0;

        setvbuf(stdout, NULL, _IOLBF, 0);
        for (struct test *volatile test = first_test; test; test = test->next) {
                if (!chosen(test->name, argc, argv))
                        continue;
                number++;
                if (setjmp(failed) == 0) {
                        test->run();
                        printf("ok %d - %s\n", number, test->name);
                } else {
                        failures++;
                        printf("not ok %d - %s\n", number, test->name);
                }
        }
        printf("1..%d\n", number);
        return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
