/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "kernel.h"
#include "test.h"

TEST(what_a_kernel_lacks_is_named_with_what_that_leaves_open)
{
        char text[512];

        check(kernel_lacks(0, text, sizeof(text)));
        check(strstr(text, "Landlock for files (Linux 5.13), so that the resolve worker may read any file its user may; "));
        check(kernel_lacks(2, text, sizeof(text)));             /* Debian 12 */
        check(!strstr(text, "files"));
        check(strncmp(text, "Landlock for TCP ports (Linux 6.7), so that ", 44) == 0);
        check(strstr(text, "; Landlock for abstract Unix sockets (Linux 6.12), so that "));
        check(kernel_lacks(5, text, sizeof(text)));
        check(strstr(text, "TCP") == NULL);
}

TEST(a_kernel_that_has_all_of_it_is_not_spoken_of)
{
        char text[512];

        check(!kernel_lacks(6, text, sizeof(text)) && !kernel_lacks(8, text, sizeof(text)));
}

TEST(what_is_lacking_is_cut_at_what_fits)
{
        char text[40];

        check(kernel_lacks(0, text, sizeof(text)));
        check_equal(strlen(text), sizeof(text) - 1);
}
