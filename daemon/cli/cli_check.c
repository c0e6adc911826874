/* SPDX-License-Identifier: BSD-3-Clause */
/* hypergate check: configurations as the service would read them, from the same places. People are told what is wrong and nothing about
 * what is good, unless it shall be shown; programs hear of each file. */
#include "cli_check.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli_instance.h"
#include "cli_json.h"
#include "conf.h"
#include "conf_text.h"

/* As it was given, unless it looks like a secret. */
static const char *shown(const char *file, char *out, size_t size)
{
        return conf_quote(file, out, size)[0] == '(' ? out : file;
}

/* What its files say together, to be freed; NULL: it can't be said. */
static char *show(const struct conf *conf)
{
        char folder[PATH_MAX], *text = NULL;
        size_t len;
        FILE *out = getcwd(folder, sizeof(folder)) ? open_memstream(&text, &len) : NULL;
        bool good = out && conf_show(conf, folder, out);

        if (out && fclose(out) == 0 && good)
                return text;
        free(text);
        return NULL;
}

struct verdict {
        const char *file;
        bool good;
        char *text;                     /* what shall be shown of it, or NULL */
};

/* One that is no UTF-8 as complaints have it: JSON has no other. */
static json_t *name_of(const char *file)
{
        char quoted[64], escaped[4 * PATH_MAX];
        json_t *name = json_string(shown(file, quoted, sizeof(quoted)));
        bool complete = true;

        if (name)
                return name;
        conf_text_escape(file, escaped, 0, sizeof(escaped), &complete);
        return json_string(escaped);
}

static bool print_json(const struct verdict *verdict, const struct conf_complaints *complaints)
{
        json_t *object = json_pack("{s:s, s:o, s:b, s:I, s:I}", "type", "check", "file", name_of(verdict->file), "good", verdict->good,
                                   "errors", (json_int_t)complaints->error_count, "warnings", (json_int_t)complaints->warning_count);

        if (object && verdict->text)
                json_object_set_new(object, "shown", json_string(verdict->text));
        return cli_json_print_complaints(complaints) && cli_json_print(object);
}

static bool print_text(const struct verdict *verdict, const struct conf_complaints *complaints)
{
        cli_print_complaints(complaints);
        return !verdict->text || fputs(verdict->text, stdout) >= 0;
}

static int check(const char *file, bool json, bool shows)
{
        struct conf_source source = CONF_SOURCE_INIT;
        struct conf_complaints complaints;
        struct verdict verdict = { file, false, NULL };
        struct conf *conf = NULL;
        bool told;

        source.path = file;
        conf_source_environment(&source);
        verdict.good = conf_load(&source, &conf, &complaints) == CONF_GOOD;
        if (conf && shows)
                verdict.text = show(conf);
        told = (json ? print_json : print_text)(&verdict, &complaints) && fflush(stdout) == 0 && (!conf || !shows || verdict.text);
        if (!told)
                fprintf(stderr, "hypergate: cannot print it: %s\n", strerror(errno));
        conf_free(conf);
        conf_complaints_fini(&complaints);
        free(verdict.text);
        return !told ? EX_IOERR : verdict.good ? EX_OK : EX_CONFIG;
}

int cli_check_run(const struct cli_options *options)
{
        bool json = cli_options_next(options, CLI_OPTION_JSON, NULL), shows = cli_options_next(options, CLI_OPTION_SHOW, NULL);
        int status = EX_OK;

        for (size_t i = 0; i < options->operand_count && status != EX_IOERR; i++) {
                int one = check(options->operands[i], json, shows);

                status = one == EX_OK ? status : one;
        }
        return status;
}
