/* SPDX-License-Identifier: BSD-3-Clause */
/* YAML by libyaml's events: one document of scalars, lists and maps. Anchors, aliases and tags are refused, so a text can't
 * stand for more than it holds. */
#include <string.h>
#include <yaml.h>

#include "conf_tree.h"

static struct conf_position position(yaml_mark_t mark)
{
        return (struct conf_position){ (uint32_t)mark.line + 1, (uint32_t)mark.column + 1 };
}

static bool refuse(struct conf_tree *tree, yaml_mark_t mark, const char *why)
{
        struct conf_position at = position(mark);

        conf_error(tree->report, tree->file, at, "%s", why);
        return false;
}

/* Whether blanks at the start of that line are tabs, the usual reason for "cannot start any token". */
static bool is_tab_indented(const char *text, size_t len, size_t line)
{
        const char *at = text, *end = text + len;

        for (; line > 0 && at < end; at++)
                line -= *at == '\n';
        while (at < end && *at == ' ')
                at++;
        return at < end && *at == '\t';
}

/* A blank that is none to YAML, as word processors and web pages have them, on the line of @mark or the one before: where a text
 * that went on too far began. */
static bool find_odd_blank(const char *text, size_t len, yaml_mark_t mark, struct conf_position *at)
{
        struct conf_position here = { 1, 1 };

        for (const char *next = text, *end = text + len; next < end && here.line <= mark.line + 1;) {
                uint32_t code;
                size_t size = conf_utf8_next(next, end, &code);

                if (size == 0)
                        return false;
                if (here.line >= mark.line && (code == 0xa0 || (code >= 0x2000 && code <= 0x200b) || code == 0x202f || code == 0x3000)) {
                        *at = here;
                        return true;
                }
                here.column = code == '\n' ? 1 : here.column + 1;
                here.line += code == '\n';
                next += size;
        }
        return false;
}

static const char tabs[] = "a tab at the start of a line; YAML is indented with blanks";

/* What libyaml says and what helps those who wrote it. @rest follows the number of the line where what it was reading began;
 * @there shows that place in the stead of the one where it was at a loss. */
static const struct words {
        const char *theirs, *ours, *rest;
        bool there;
} words[] = {
        { .theirs = "mapping values are not allowed in this context",
          .ours = "a colon can't stand here: indent this line exactly as its neighbours, and put a blank behind each colon above" },
        { .theirs = "did not find expected key",
          .ours = "no key of the map from line ", .rest = " on: what belongs together begins in one column" },
        { .theirs = "did not find expected '-' indicator",
          .ours = "part of no entry of the list from line ",
          .rest = " on: all keys of an entry begin in the column of its first, behind the \"- \"" },
        { .theirs = "did not find expected ',' or ']'",
          .ours = "the list whose [ is on line ", .rest = " needs a , or its ] here" },
        { .theirs = "did not find expected ',' or '}'",
          .ours = "the map whose { is on line ", .rest = " needs a , or its } here" },
        { .theirs = "did not find expected node content", .ours = "a value is missing here" },
        { .theirs = "did not find expected <document start>",
          .ours = "what stands above is complete: this is indented too little, or does not belong to it" },
        { .theirs = "found unexpected end of stream", .ours = "the quote that opens here is never closed", .there = true },
        { .theirs = "found unexpected document indicator", .ours = "the quote that opens here is never closed", .there = true },
        { .theirs = "could not find expected ':'", .ours = "a key without its colon, a blank and a value: \"key: value\"",
          .there = true },
        { .theirs = "block sequence entries are not allowed in this context",
          .ours = "a list can't begin here: each \"- \" opens a line of its own, below the key" },
        { .theirs = "found character that cannot start any token", .ours = "a text that begins with this character needs quotes" },
        { .theirs = "did not find expected alphabetic or numeric character",
          .ours = "a text that begins with * or & needs quotes", .there = true },
        { .theirs = "found unknown escape character",
          .ours = "in double quotes a backslash is written \\\\, in single ones as it is" },
        { .theirs = "found a tab character that violates indentation", .ours = tabs },
};

static const struct words *words_for(const char *problem)
{
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (strcmp(problem, words[i].theirs) == 0)
                        return &words[i];
        return NULL;
}

static bool complain_syntax(struct conf_tree *tree, const yaml_parser_t *parser, const char *text, size_t len)
{
        const char *problem = parser->problem ? parser->problem : "not YAML";
        const struct words *found = words_for(problem);
        struct conf_position at = position(found && found->there ? parser->context_mark : parser->problem_mark);

        if (parser->error == YAML_MEMORY_ERROR)
                conf_error(tree->report, tree->file, CONF_WHOLE_FILE, "out of memory");
        else if (find_odd_blank(text, len, parser->problem_mark, &at))
                conf_error(tree->report, tree->file, at, "a blank that is none to YAML: write a plain one");
        else if (parser->error == YAML_SCANNER_ERROR && is_tab_indented(text, len, parser->problem_mark.line))
                conf_error(tree->report, tree->file, position(parser->problem_mark), "%s", tabs);
        else if (found && found->rest)
                conf_error(tree->report, tree->file, at, "%s%zu%s", found->ours, parser->context_mark.line + 1, found->rest);
        else
                conf_error(tree->report, tree->file, at, "%s", found ? found->ours : problem);
        return false;
}

static bool is_marked(const yaml_char_t *anchor, const yaml_char_t *tag)
{
        return anchor || tag;
}

/* U+00AB, U+2018 to U+201F: what a word processor makes of " and '. */
static bool is_quote_of_prose(const yaml_event_t *event)
{
        const char *text = (const char *)event->data.scalar.value;
        uint32_t code = 0;

        return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
               conf_utf8_next(text, text + event->data.scalar.length, &code) > 1 &&
               (code == 0xab || (code >= 0x2018 && code <= 0x201f));
}

static bool put_scalar(struct conf_tree *tree, const yaml_event_t *event)
{
        enum conf_kind kind = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? CONF_PLAIN : CONF_QUOTED;

        return conf_tree_scalar(tree, kind, (const char *)event->data.scalar.value, event->data.scalar.length,
                                position(event->start_mark));
}

static bool take(struct conf_tree *tree, const yaml_event_t *event)
{
        static const char marked[] = "anchors (&) and tags (!) are not used here; a text that begins with one needs quotes";

        switch (event->type) {
        case YAML_ALIAS_EVENT:
                return refuse(tree, event->start_mark, "aliases (*) are not used here: write the value itself, or quote it");
        case YAML_SCALAR_EVENT:
                if (is_marked(event->data.scalar.anchor, event->data.scalar.tag))
                        return refuse(tree, event->start_mark, marked);
                if (is_quote_of_prose(event))
                        return refuse(tree, event->start_mark, "not a quote to YAML: write \" or '");
                return put_scalar(tree, event);
        case YAML_SEQUENCE_START_EVENT:
                if (is_marked(event->data.sequence_start.anchor, event->data.sequence_start.tag))
                        return refuse(tree, event->start_mark, marked);
                return conf_tree_open(tree, CONF_LIST, position(event->start_mark));
        case YAML_MAPPING_START_EVENT:
                if (is_marked(event->data.mapping_start.anchor, event->data.mapping_start.tag))
                        return refuse(tree, event->start_mark, marked);
                return conf_tree_open(tree, CONF_MAP, position(event->start_mark));
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
                conf_tree_close(tree);
                return true;
        case YAML_DOCUMENT_START_EVENT:
                if (tree->root)
                        return refuse(tree, event->start_mark, "a second document begins here; there must be one only");
                return true;
        default:
                return true;
        }
}

static bool read_events(struct conf_tree *tree, yaml_parser_t *parser, const char *text, size_t len)
{
        bool more = true, good = true;

        while (more && good) {
                yaml_event_t event;

                if (!yaml_parser_parse(parser, &event))
                        return complain_syntax(tree, parser, text, len);
                more = event.type != YAML_STREAM_END_EVENT;
                good = take(tree, &event);
                yaml_event_delete(&event);
        }
        return good;
}

bool conf_yaml_read(struct conf_tree *tree, const char *text, size_t len)
{
        yaml_parser_t parser;
        bool good;

        if (!yaml_parser_initialize(&parser)) {
                conf_error(tree->report, tree->file, CONF_WHOLE_FILE, "out of memory");
                return false;
        }
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
        good = read_events(tree, &parser, text, len);
        yaml_parser_delete(&parser);
        return good;
}
