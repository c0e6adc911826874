/* SPDX-License-Identifier: BSD-3-Clause */
#include "conf_image.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "conf_dht.h"
#include "conf_gateway.h"
#include "conf_path.h"

/* Lists of services, filters and exceptions at their longest, each text as long as it may be; of each file its name, paths in it, and lists
 * of addresses and peers. */
static const size_t image_reserve =
        3 * CONF_SERVICES_MAX * (sizeof(struct conf_service) + CONF_HOST_MAX + CONF_TAGS_MAX + CONF_HEALTH_PATH_MAX + 64) +
        (CONF_FILES_MAX + 2) * CONF_ONLY_HOSTS_MAX * (CONF_HOST_MAX + 64) +
        (CONF_FILES_MAX + 16) * (5 * (CONF_PATH_MAX + 64) + 2 * (CONF_LISTEN_MAX + CONF_BOOTSTRAP_MAX) * (CONF_HOST_MAX + 256)) + 65536;

/* What conf_free() must know stands in front. */
struct image {
        size_t mapped_len;
        struct conf conf;
};

static struct image *image_of(struct conf *conf)
{
        return (struct image *)(void *)((char *)conf - offsetof(struct image, conf));
}

static void wipe_secrets(struct conf *conf)
{
        explicit_bzero(conf->secret, sizeof(conf->secret));
        explicit_bzero(conf->previous, sizeof(conf->previous));
        explicit_bzero(conf->resolver.auth, sizeof(conf->resolver.auth));
        explicit_bzero(conf->unlimited.auth, sizeof(conf->unlimited.auth));
}

struct conf *conf_image_new(struct conf_arena *arena)
{
        struct image *image = conf_arena_init(arena, image_reserve) < 0 ? NULL : conf_arena_take(arena, sizeof(*image));

        return image ? &image->conf : NULL;
}

void conf_image_drop(struct conf_arena *arena, struct conf *conf)
{
        wipe_secrets(conf);
        conf_arena_fini(arena);
}

int conf_image_seal(struct conf_arena *arena, struct conf *conf)
{
        int error = conf_arena_trim(arena);

        image_of(conf)->mapped_len = arena->reserved;
        return error < 0 ? error : conf_arena_protect(arena);
}

void conf_free(struct conf *conf)
{
        struct image *image = conf ? image_of(conf) : NULL;
        size_t len = image ? image->mapped_len : 0;

        if (!conf)
                return;
        if (mprotect(image, len, PROT_READ | PROT_WRITE) == 0)
                wipe_secrets(conf);
        munmap(image, len);
}
