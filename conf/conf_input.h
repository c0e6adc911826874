/* SPDX-License-Identifier: BSD-3-Clause */
/* Files on their way in: opened, bounded, text. */
#ifndef HG_CONF_INPUT_H
#define HG_CONF_INPUT_H

#include <stddef.h>

/* Opens @path for reading: a file or a pipe, never a device. The descriptor or -errno; -EINVAL: neither. */
int conf_input_open(const char *path);

/* All of @fd, from its start where it has one: @len_out bytes that the caller frees, or -errno. -EFBIG: more than @max. */
int conf_input_read(int fd, size_t max, char **text_out, size_t *len_out);

/* What -errno means for somebody who named a file. */
const char *conf_input_error(int error);

#endif
