/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints the attempts and what comes of them, as SECURITY.md shows them. */
#include <stdio.h>
#include <string.h>

#include "attempts.h"

static void print_outcome(const struct outcome *outcome)
{
        switch (outcome->kind) {
        case ENDED:
                printf(" ended |");
                break;
        case REFUSED:
                printf(outcome->landlock ? " %s, Landlock %d |" : " %s |", strerrorname_np(outcome->what), outcome->landlock);
                break;
        case KILLED:
                printf(" killed |");
                break;
        case MAY:
                printf(" **may** |");
                break;
        }
}

static void print_row(const struct attempt *attempt)
{
        printf("| %s |", attempt->what);
        for (size_t wall = 0; wall < RUN_WALLS; wall++)
                print_outcome(&attempt->outcome[wall]);
        printf("\n");
}

int main(void)
{
        printf("| to | swarm | router | forward, gates | forward, services | resolve | admin | hosts | docker | fetch |\n"
               "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
        for (size_t i = 0; i < attempt_count; i++)
                print_row(&attempts[i]);
        return 0;
}
