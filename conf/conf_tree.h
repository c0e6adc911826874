/* SPDX-License-Identifier: BSD-3-Clause */
/* What a file says, whatever its syntax: scalars, lists and maps, each with its place. Two readers make it, for YAML and
 * for JSON; what it means is found out by those who read the tree. */
#ifndef HG_CONF_TREE_H
#define HG_CONF_TREE_H

#include "conf_report.h"
#include "conf_text.h"

enum {
        CONF_DEPTH_MAX = 16,            /* lists and maps in each other; the configuration needs 4 */
        CONF_KEYS_MAX = 64,             /* of one map */
        CONF_NODES_MAX = 256 * 1024,    /* of one file */
};

enum conf_kind {
        CONF_PLAIN,                     /* a word without quotes: its reader decides what it is */
        CONF_QUOTED,                    /* certainly a text */
        CONF_LIST,
        CONF_MAP,
};

struct conf_node {
        enum conf_kind kind;
        const struct conf_file *file;   /* where it stands, of a tree that was made of several; else NULL: all of it in one */
        struct conf_position at, key_at;
        const char *key;                /* of a member of a map and of what is listed there, else NULL */
        const char *text;               /* of scalars, holds no NUL */
        struct conf_node *first, *last, *next;
        uint32_t count;                 /* of children */
};

/* A tree under construction. */
struct conf_tree {
        struct conf_arena arena;
        struct conf_report *report;
        const struct conf_file *file;
        struct conf_node *root;         /* NULL until something was put */
        struct conf_node *open[CONF_DEPTH_MAX];
        size_t depth, count;
        const char *key;                /* waits for its value */
        struct conf_position key_at;
        bool duplicate;                 /* the value to come is for a key that has one: complained of and left out */
};

/* For a text of @len bytes. 0 or -errno. */
int conf_tree_init(struct conf_tree *tree, struct conf_report *report, const struct conf_file *file, size_t len);
void conf_tree_fini(struct conf_tree *tree);

/* In the order of the text. In a map, keys and values take turns. All return false when reading must end here: too deep, too
 * much; that was complained of. */
bool conf_tree_scalar(struct conf_tree *tree, enum conf_kind kind, const char *text, size_t len, struct conf_position at);
bool conf_tree_open(struct conf_tree *tree, enum conf_kind kind, struct conf_position at);
void conf_tree_close(struct conf_tree *tree);

/* The readers: false after a complaint that leaves nothing to go on with. @text holds @len bytes for which conf_text_check()
 * was good; YAML that holds nothing but comments leaves the root NULL. */
bool conf_yaml_read(struct conf_tree *tree, const char *text, size_t len);
bool conf_json_read(struct conf_tree *tree, const char *text, size_t len);

#endif
