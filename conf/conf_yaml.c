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

/* libyaml's words, shortened to one line: what it met, and what it was doing when that began on an earlier line. */
static bool complain_syntax(struct conf_tree *tree, const yaml_parser_t *parser, const char *text, size_t len)
{
        struct conf_position at = position(parser->problem_mark);
        const char *problem = parser->problem ? parser->problem : "not YAML", *context = parser->context;

        if (parser->error == YAML_MEMORY_ERROR)
                conf_error(tree->report, tree->file, CONF_WHOLE_FILE, "out of memory");
        else if (parser->error == YAML_SCANNER_ERROR && is_tab_indented(text, len, parser->problem_mark.line))
                conf_error(tree->report, tree->file, at, "a tab at the start of a line; YAML is indented with blanks");
        else if (context && parser->context_mark.line < parser->problem_mark.line)
                conf_error(tree->report, tree->file, at, "%s (%s that begins on line %zu)", problem, context,
                           parser->context_mark.line + 1);
        else
                conf_error(tree->report, tree->file, at, "%s", problem);
        return false;
}

static bool is_marked(const yaml_char_t *anchor, const yaml_char_t *tag)
{
        return anchor || tag;
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
                        return refuse(tree, event->start_mark, "a second document; there must be one only");
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
