/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "conf.h"

enum { WORD_MAX = 32, BEGINNING_MIN = 3 };

/* Lower case, without '-' and '_'; returns its length, or WORD_MAX + 1 for one that is too long to be a typing error. */
static size_t plain_word(const char *word, char out[WORD_MAX])
{
        size_t len = 0;

        for (; *word; word++) {
                if (*word == '-' || *word == '_')
                        continue;
                if (len == WORD_MAX)
                        return WORD_MAX + 1;
                out[len++] = (char)(*word >= 'A' && *word <= 'Z' ? *word - 'A' + 'a' : *word);
        }
        return len;
}

static size_t least(size_t a, size_t b)
{
        return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that make @a of @b: optimal string alignment, row by row. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
        size_t rows[3][WORD_MAX + 1], *before = rows[0], *above = rows[1], *row = rows[2];

        for (size_t j = 0; j <= b_len; j++)
                above[j] = j;
        for (size_t i = 1; i <= a_len; i++) {
                size_t *spare = before;

                row[0] = i;
                for (size_t j = 1; j <= b_len; j++) {
                        row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = least(row[j], before[j - 2] + 1);
                }
                before = above;
                above = row;
                row = spare;
        }
        return above[b_len];
}

/* Whether @word could mean the name: one error for each three characters of it, one in a short one, or only its beginning. */
static bool is_close(const char *word, size_t word_len, const char *name, size_t name_len, size_t *distance_out)
{
        if (word_len >= BEGINNING_MIN && word_len < name_len && memcmp(word, name, word_len) == 0)
                *distance_out = 1;
        else
                *distance_out = distance(word, word_len, name, name_len);
        return *distance_out <= (name_len < 3 ? 1 : name_len / 3);
}

const char *conf_suggest(const char *word, const char *const *names)
{
        char a[WORD_MAX], b[WORD_MAX];
        size_t a_len = plain_word(word, a), best_distance = SIZE_MAX;
        const char *best = NULL;

        if (a_len > WORD_MAX)
                return NULL;
        for (; *names; names++) {
                size_t b_len = plain_word(*names, b);
                size_t found;

                if (b_len <= WORD_MAX && is_close(a, a_len, b, b_len, &found) && found < best_distance) {
                        best_distance = found;
                        best = *names;
                }
        }
        return best;
}
