/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a fuzz target without libFuzzer: every seed of a folder, then a fixed slice of mutations of them. The same folder
 * gives the same run. Usage: fuzz-NAME CORPUS [MUTATIONS], or fuzz-NAME FILE for one input: only then what it says on standard error is
 * heard. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INPUT_MAX = 64 * 1024, SEEDS_MAX = 1024, MUTATIONS = 20000 };

struct input {
        uint8_t *bytes;
        size_t len;
};

static uint64_t state = 1;

static uint32_t below(size_t bound)
{
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return bound ? (uint32_t)((state >> 16) % bound) : 0;
}

/* A copy of exactly its size, so that a sanitizer sees one byte too far. */
static void run(const uint8_t *bytes, size_t len)
{
        uint8_t *copy = malloc(len);

        if (len && copy)
                memcpy(copy, bytes, len);
        if (copy || !len)
                LLVMFuzzerTestOneInput(copy, len);
        free(copy);
}

static size_t mutate(uint8_t *bytes, size_t len, const struct input *other)
{
        static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xfd, '"' };
        size_t at = below(len), count;

        switch (below(7)) {
        case 0:
                if (len)
                        bytes[at] ^= (uint8_t)(1u << below(8));
                break;
        case 1:
                if (len)
                        bytes[at] = edges[below(sizeof(edges))];
                break;
        case 2:
                if (len)
                        bytes[at] = (uint8_t)below(256);
                break;
        case 3:
                return at;
        case 4:         /* cut out */
                count = below(len - at + 1);
                memmove(bytes + at, bytes + at + count, len - at - count);
                return len - count;
        case 5:         /* repeat */
                count = below(len - at + 1);
                if (len + count > INPUT_MAX)
                        return len;
                memmove(bytes + at + count, bytes + at, len - at);
                return len + count;
        case 6:         /* splice */
                count = other->len ? below(other->len) : 0;
                if (at + count > INPUT_MAX)
                        return len;
                memcpy(bytes + at, other->bytes, count);
                return at + count > len ? at + count : len;
        }
        return len;
}

/* What campaigns found: inputs one after another, each after its length, two bytes, little-endian. Returns how many were added to the
 * @count there are. */
static size_t load_found(const char *path, struct input *seeds, size_t count)
{
        FILE *file = fopen(path, "rb");
        size_t before = count;
        uint8_t len[2];

        while (file && fread(len, 1, sizeof(len), file) == sizeof(len)) {
                struct input *input = &seeds[count++];

                if (count > SEEDS_MAX)
                        exit(EXIT_FAILURE);
                *input = (struct input){ malloc(INPUT_MAX), len[0] | (size_t)len[1] << 8 };
                if (!input->bytes || fread(input->bytes, 1, input->len, file) != input->len)
                        exit(EXIT_FAILURE);
        }
        if (!file || count == before)
                exit(EXIT_FAILURE);
        fclose(file);
        return count - before;
}

static struct input load(const char *path)
{
        struct input input = { malloc(INPUT_MAX), 0 };
        FILE *file = fopen(path, "rb");

        if (!file || !input.bytes) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        input.len = fread(input.bytes, 1, INPUT_MAX, file);
        fclose(file);
        return input;
}

/* What thousands of inputs are told goes nowhere, but what a sanitizer says stays. */
static void be_silent(void)
{
        extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));
        int loud = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (loud < 0 || nowhere < 0 || dup2(nowhere, STDERR_FILENO) < 0)
                exit(EXIT_FAILURE);
        close(nowhere);
        if (__sanitizer_set_report_fd)
                __sanitizer_set_report_fd((void *)(intptr_t)loud);
}

static size_t load_all(const char *folder, struct input seeds[SEEDS_MAX])
{
        struct dirent **names;
        int found = scandir(folder, &names, NULL, alphasort);
        size_t count = 0;

        if (found < 0) {
                seeds[0] = load(folder);
                return 1;
        }
        for (int i = 0; i < found; i++) {
                char path[4096];

                snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
                if (names[i]->d_name[0] != '.' && count == SEEDS_MAX)
                        exit(EXIT_FAILURE);     /* none may go unseen */
                if (strcmp(names[i]->d_name, "found") == 0)
                        count += load_found(path, seeds, count);
                else if (names[i]->d_name[0] != '.')
                        seeds[count++] = load(path);
                free(names[i]);
        }
        free(names);
        return count;
}

int main(int argc, char **argv)
{
        static uint8_t bytes[INPUT_MAX];
        static struct input seeds[SEEDS_MAX];
        size_t count = argc > 1 ? load_all(argv[1], seeds) : 0;
        unsigned mutations = argc > 2 ? (unsigned)atoi(argv[2]) : count > 1 ? MUTATIONS : 0;

        if (count == 0) {
                fprintf(stderr, "usage: %s CORPUS [MUTATIONS]\n", argv[0]);
                return EXIT_FAILURE;
        }
        if (count > 1)
                be_silent();
        for (size_t i = 0; i < count; i++)
                run(seeds[i].bytes, seeds[i].len);
        for (unsigned i = 0; i < mutations; i++) {
                const struct input *seed = &seeds[below(count)];
                size_t len = seed->len;

                memcpy(bytes, seed->bytes, len);
                for (unsigned step = 1 + below(6); step > 0; step--)
                        len = mutate(bytes, len, &seeds[below(count)]);
                run(bytes, len);
        }
        for (size_t i = 0; i < count; i++)
                free(seeds[i].bytes);
        printf("%zu seeds, %u mutations\n", count, mutations);
        return EXIT_SUCCESS;
}
