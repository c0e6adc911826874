/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_tree.h"

#include <assert.h>
#include <string.h>

/* A text grows by half at most when its escapes are read (YAML's \P), and JSON has room for one as long as all of it. Each node may round
 * its own up. */
static size_t reserve(size_t len)
{
        return (size_t)CONF_NODES_MAX * (sizeof(struct conf_node) + 2 * 32) + 4 * (len + 1024);
}

int conf_tree_init(struct conf_tree *tree, struct conf_report *report, const struct conf_file *file, size_t len)
{
        *tree = (struct conf_tree){ .report = report, .file = file };
        return conf_arena_init(&tree->arena, reserve(len));
}

void conf_tree_fini(struct conf_tree *tree)
{
        conf_arena_fini(&tree->arena);
}

static struct conf_node *innermost(const struct conf_tree *tree)
{
        return tree->depth ? tree->open[tree->depth - 1] : NULL;
}

static bool wants_key(const struct conf_tree *tree)
{
        struct conf_node *parent = innermost(tree);

        return parent && parent->kind == CONF_MAP && !tree->key;
}

static const struct conf_node *member(const struct conf_node *map, const char *key)
{
        for (const struct conf_node *node = map->first; node; node = node->next)
                if (strcmp(node->key, key) == 0)
                        return node;
        return NULL;
}

static bool put_key(struct conf_tree *tree, const char *text, size_t len, struct conf_position at)
{
        struct conf_node *map = innermost(tree);
        const struct conf_node *other;
        char quoted[CONF_QUOTE_MAX];

        if (map->count >= CONF_KEYS_MAX) {
                conf_error(tree->report, tree->file, at, "more than %d keys in one map", CONF_KEYS_MAX);
                return false;
        }
        tree->key = conf_arena_text(&tree->arena, text, len);
        tree->key_at = at;
        other = member(map, tree->key);
        tree->duplicate = other != NULL;
        if (other)
                conf_error(tree->report, tree->file, at, "%s is here twice; the first one is on line %u",
                           conf_quote(tree->key, quoted, sizeof(quoted)), other->key_at.line);
        return true;
}

/* A value of a key that is here twice hangs nowhere. */
static void hang(struct conf_tree *tree, struct conf_node *node)
{
        struct conf_node *parent = innermost(tree);

        node->key = parent && parent->kind == CONF_LIST ? parent->key : tree->key;
        node->key_at = tree->key_at;
        tree->key = NULL;
        if (!parent)
                tree->root = node;
        if (!parent || tree->duplicate) {
                tree->duplicate = false;
                return;
        }
        if (parent->last)
                parent->last->next = node;
        else
                parent->first = node;
        parent->last = node;
        parent->count++;
}

static struct conf_node *put(struct conf_tree *tree, enum conf_kind kind, struct conf_position at)
{
        struct conf_node *node;

        if (++tree->count > CONF_NODES_MAX) {
                conf_error(tree->report, tree->file, at, "more than %d values in one file", CONF_NODES_MAX);
                return NULL;
        }
        node = conf_arena_take(&tree->arena, sizeof(*node));
        node->kind = kind;
        node->at = at;
        hang(tree, node);
        return node;
}

bool conf_tree_scalar(struct conf_tree *tree, enum conf_kind kind, const char *text, size_t len, struct conf_position at)
{
        struct conf_node *node;

        if (memchr(text, '\0', len)) {
                conf_error(tree->report, tree->file, at, "a text with a NUL character");
                return false;
        }
        if (wants_key(tree))
                return put_key(tree, text, len, at);
        node = put(tree, kind, at);
        if (node)
                node->text = conf_arena_text(&tree->arena, text, len);
        return node;
}

bool conf_tree_open(struct conf_tree *tree, enum conf_kind kind, struct conf_position at)
{
        struct conf_node *node;

        if (wants_key(tree)) {
                conf_error(tree->report, tree->file, at, "a key must be a word");
                return false;
        }
        if (tree->depth == CONF_DEPTH_MAX) {
                conf_error(tree->report, tree->file, at, "more than %d lists and maps in each other", CONF_DEPTH_MAX);
                return false;
        }
        node = put(tree, kind, at);
        if (node)
                tree->open[tree->depth++] = node;
        return node;
}

void conf_tree_close(struct conf_tree *tree)
{
        assert(tree->depth > 0);
        tree->depth--;
}
