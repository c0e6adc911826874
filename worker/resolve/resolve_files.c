/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve_files.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"

/* resolv.conf(5), hosts(5), nsswitch.conf(5), host.conf(5), gai.conf(5), services(5); networks(5) for nss_files. */
const char *const resolve_files[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
                                      "/etc/services", "/etc/networks", NULL };

_Static_assert(ARRAY_LEN(resolve_files) == RESOLVE_FILES + 1, "one more for the NULL");

void resolve_files_look(struct resolve_files_seen *seen)
{
        *seen = (struct resolve_files_seen){ 0 };
        for (size_t i = 0; i < RESOLVE_FILES; i++) {
                struct stat file;

                if (stat(resolve_files[i], &file) < 0)
                        continue;
                seen->file[i].device = file.st_dev;
                seen->file[i].inode = file.st_ino;
        }
}

bool resolve_files_changed(const struct resolve_files_seen *seen)
{
        struct resolve_files_seen now;

        resolve_files_look(&now);
        for (size_t i = 0; i < RESOLVE_FILES; i++)
                if (now.file[i].inode != seen->file[i].inode || now.file[i].device != seen->file[i].device)
                        return true;
        return false;
}

static size_t word_len(const char *text)
{
        size_t len = 0;

        while (isalnum((unsigned char)text[len]) || text[len] == '_' || text[len] == '-')
                len++;
        return len;
}

const char *resolve_files_next_module(const char *text, char *name, size_t size)
{
        while (*text && *text != '#' && *text != '\n') {
                size_t len = word_len(text);

                if (*text == '[')
                        text += strcspn(text, "]\n");
                else if (len > 0 && len < size && (!text[len] || strchr(" \t\n[#", text[len]))) {
                        memcpy(name, text, len);
                        name[len] = '\0';
                        return text + len;
                } else if (!isspace((unsigned char)*text))
                        text += strcspn(text, " \t\n[#");
                if (*text && *text != '\n' && *text != '#' && *text != '[')
                        text++;
        }
        return NULL;
}

/* Those that read files, ask name servers or look at this machine's addresses. */
static bool asks_nobody_here(const char *module)
{
        return strcmp(module, "files") == 0 || strcmp(module, "dns") == 0 || strcmp(module, "myhostname") == 0;
}

static bool load_modules(const char *text)
{
        char module[32], library[64];
        bool local = false;

        while ((text = resolve_files_next_module(text, module, sizeof(module)))) {
                local |= !asks_nobody_here(module);
                snprintf(library, sizeof(library), "libnss_%s.so.2", module);
                dlopen(library, RTLD_NOW);      /* for good: the C library finds it loaded. "files" and "dns" are built in */
        }
        return local;
}

bool resolve_files_load_modules(const char *path)
{
        FILE *file = fopen(path, "re");
        bool local = false;
        char line[512];

        if (!file)
                return false;   /* then the C library knows no others than its own */
        while (fgets(line, sizeof(line), file)) {
                const char *key = line + strspn(line, " \t");

                if (strncmp(key, "hosts:", strlen("hosts:")) == 0)
                        local |= load_modules(key + strlen("hosts:"));
        }
        fclose(file);
        return local;
}
