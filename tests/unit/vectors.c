/* SPDX-License-Identifier: BSD-3-Clause */
#include "vectors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

enum { FILES_MAX = 16 };

static struct {
        char name[64];
        json_t *root;
} loaded[FILES_MAX];

__attribute__((destructor)) static void unload(void)
{
        for (int i = 0; i < FILES_MAX; i++)
                json_decref(loaded[i].root);
}

json_t *vectors(const char *file)
{
        const char *folder = getenv("VECTORS");
        char path[512];
        json_error_t error;
        int i = 0;

        while (i < FILES_MAX && loaded[i].root && strcmp(loaded[i].name, file) != 0)
                i++;
        if (i == FILES_MAX || !folder)
                test_fail(__FILE__, __LINE__, folder ? "too many vector files" : "VECTORS is not set");
        if (loaded[i].root)
                return loaded[i].root;
        snprintf(path, sizeof(path), "%s/%s", folder, file);
        snprintf(loaded[i].name, sizeof(loaded[i].name), "%s", file);
        loaded[i].root = json_load_file(path, 0, &error);
        if (!loaded[i].root)
                test_fail(__FILE__, __LINE__, "%s:%d: %s", path, error.line, error.text);
        return loaded[i].root;
}

static json_t *find(json_t *at, const char *path)
{
        char step[64];

        while (at && *path) {
                size_t len = strcspn(path, ".");

                snprintf(step, sizeof(step), "%.*s", (int)len, path);
                at = isdigit((unsigned char)*step) && json_is_array(at) ? json_array_get(at, strtoul(step, NULL, 10))
                                                                         : json_object_get(at, step);
                path += len + (path[len] == '.');
        }
        return at;
}

json_t *vector_at(json_t *from, const char *path)
{
        json_t *at = find(from, path);

        if (!at)
                test_fail(__FILE__, __LINE__, "no %s in the vectors", path);
        return at;
}

const char *vector_text(json_t *from, const char *path)
{
        const char *text = json_string_value(vector_at(from, path));

        if (!text)
                test_fail(__FILE__, __LINE__, "%s is no text", path);
        return text;
}

long long vector_number(json_t *from, const char *path)
{
        json_t *at = vector_at(from, path);

        if (!json_is_integer(at))
                test_fail(__FILE__, __LINE__, "%s is no integer", path);
        return json_integer_value(at);
}

int vector_true(json_t *from, const char *path)
{
        return json_is_true(vector_at(from, path));
}

size_t vector_bytes(json_t *from, const char *path, void *out, size_t max)
{
        return test_unhex(vector_text(from, path), out, max);
}
