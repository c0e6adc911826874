/* SPDX-License-Identifier: BSD-3-Clause */
/* What the C library's name service reads: which files it may open when confined, and whether they are still the ones
 * that the wall was built around. */
#ifndef HG_RESOLVE_FILES_H
#define HG_RESOLVE_FILES_H

#include <stdbool.h>
#include <sys/types.h>

/* For struct run_confinement. Single files only: in the same folder lies what a worker must never read. */
extern const char *const resolve_files[];

enum { RESOLVE_FILES = 7 };

struct resolve_files_seen {
        struct {
                dev_t device;
                ino_t inode;            /* 0: there is none */
        } file[RESOLVE_FILES];
};

void resolve_files_look(struct resolve_files_seen *seen);

/* Whether one of them was replaced (as NetworkManager and systemd-resolved do): the wall, which knows inodes, keeps us from
 * reading the new one. */
bool resolve_files_changed(const struct resolve_files_seen *seen);

/* Loads the name service modules of the "hosts:" line of nsswitch.conf (@path) now, while code may still be mapped. True: there are
 * such as may ask another process of this machine. */
bool resolve_files_load_modules(const char *path);

/* The next module's name in the text of such a line, cut into @name_out; returns where to go on, or NULL at the end.
 * "[...]" are rules, not modules. Names that don't fit or hold anything but letters, digits, '_' and '-' are passed over. */
const char *resolve_files_next_module(const char *text, char *name_out, size_t size);

#endif
