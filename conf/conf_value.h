/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node shall be, checked. Each reader of a value complains when it is something else, says what to write instead,
 * and leaves its @out alone. */
#ifndef HG_CONF_VALUE_H
#define HG_CONF_VALUE_H

#include "conf_tree.h"

/* One call of conf_load(). */
struct conf_read {
        const struct conf_source *source;
        struct conf_report report;
        struct conf_arena image;        /* what the configuration will be made of */
        uint32_t file_count;            /* of any kind, so far */
        uint32_t named_file_count;      /* beside the first */
        const struct conf_file *file;   /* whose tree is being looked at */
};

struct conf_field {
        const char *key;
        void (*read)(struct conf_read *read, const struct conf_node *node, void *into);
        bool unnamed;                   /* nobody is advised to write it */
};

/* Hands each member of @node to the field of its name (the list ends with an empty one). Unknown keys and what isn't a map
 * are complained of, @what says what the map is; in JSON, unknown keys are warnings. Nothing at all ("key:") is a map
 * without members. */
void conf_value_map(struct conf_read *read, const struct conf_node *node, const char *what, const struct conf_field *fields,
                    void *into);

/* Where @node stands, for complaints. */
const struct conf_file *conf_value_file(const struct conf_read *read, const struct conf_node *node);

/* Complains that @node is not what was @expected, and returns false. */
bool conf_value_wrong(struct conf_read *read, const struct conf_node *node, const char *expected);

/* "key:" or null. */
bool conf_value_is_empty(const struct conf_node *node);

/* The member of the map @node of that name, or NULL. */
const struct conf_node *conf_value_member(const struct conf_node *node, const char *key);

/* A text that isn't empty; memory of the tree. */
bool conf_value_text(struct conf_read *read, const struct conf_node *node, const char *example, const char **out);

/* A copy of @text in memory of the image. */
const char *conf_value_copy(struct conf_read *read, const char *text);

/* 8080, in JSON also 8080.0; never "8080". */
bool conf_value_whole(struct conf_read *read, const struct conf_node *node, uint32_t min, uint32_t max, uint32_t example,
                      uint32_t *out);

/* A port, as conf_value_whole() takes it, or several in a row, 27000-27050, which may have quotes. */
bool conf_value_ports(struct conf_read *read, const struct conf_node *node, uint16_t *first_out, uint16_t *last_out);

/* true or false. */
bool conf_value_bool(struct conf_read *read, const struct conf_node *node, bool *out);

/* Which of @names (ends with NULL), by its index; any case. */
bool conf_value_choice(struct conf_read *read, const struct conf_node *node, const char *const *names, unsigned *out);

/* A list, or one value that stands for a list of itself: *@first is walked by ->next, @count times. */
bool conf_value_list(struct conf_read *read, const struct conf_node *node, uint32_t max, const struct conf_node **first,
                     uint32_t *count);

/* A list of texts of which entries of a list are made. */
struct conf_texts {
        uint32_t max;
        const char *example;            /* of one */
        const char *none;               /* what to write in place of an empty list; NULL: it may be empty */
        size_t entry_bytes;
        /* Fills the zeroed @entry_out, before which @count good ones stand in @list. NULL, or what to write instead. */
        const char *(*make)(struct conf_read *read, const char *text, void *entry_out, const void *list, size_t count);
};

/* The good ones of @node, in memory of the image. NULL, with @count_out as it was: it is no such list. */
void *conf_value_texts(struct conf_read *read, const struct conf_node *node, const struct conf_texts *texts, size_t *count_out);

#endif
