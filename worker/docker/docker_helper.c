/* SPDX-License-Identifier: BSD-3-Clause */
#include "docker_helper.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* False: it is no text, or does not fit. */
static bool copy(char *out, size_t size, const json_t *value)
{
        const char *text = json_string_value(value);

        if (!text || strlen(text) >= size)
                return false;
        memcpy(out, text, strlen(text) + 1);
        return true;
}

/* It goes into paths: nothing but hex digits. */
static bool copy_id(char out[DOCKER_ID_MAX], const json_t *value)
{
        return copy(out, DOCKER_ID_MAX, value) && strlen(out) == DOCKER_ID_MAX - 1 && strspn(out, "0123456789abcdef") == DOCKER_ID_MAX - 1;
}

/* Bit by bit. */
static unsigned networks_of(const json_t *container, const char *const *networks, size_t network_count)
{
        const json_t *on = json_object_get(json_object_get(container, "NetworkSettings"), "Networks");
        unsigned bits = 0;

        for (size_t i = 0; i < network_count; i++)
                bits |= json_object_get(on, networks[i]) ? 1u << i : 0;
        return bits;
}

/* The ports of one that is paused are open all the same. */
static enum docker_helper_state state_of(const json_t *value)
{
        const char *text = json_string_value(value);

        return !text ? DOCKER_HELPER_STANDS : strcmp(text, "running") == 0 || strcmp(text, "paused") == 0 ? DOCKER_HELPER_RUNS :
               strcmp(text, "removing") == 0 ? DOCKER_HELPER_LEAVING : DOCKER_HELPER_STANDS;
}

bool docker_helpers_read(const char *json, size_t len, const char *const *networks, size_t network_count,
                         void (*tell)(void *context, const struct docker_helper *helper), void *context)
{
        json_t *root = json_loadb(json, len, 0, NULL), *entry;
        bool good = json_is_array(root);
        size_t index;

        json_array_foreach(root, index, entry) {
                const json_t *labels = json_object_get(entry, "Labels");
                struct docker_helper helper = { .state = state_of(json_object_get(entry, "State")),
                                                .networks = networks_of(entry, networks, network_count),
                                                .made_s = (double)json_integer_value(json_object_get(entry, "Created")) };

                if (!copy_id(helper.id, json_object_get(entry, "Id"))) {
                        good = false;
                        break;
                }
                if (!copy(helper.owner, sizeof(helper.owner), json_object_get(labels, DOCKER_LABEL_HELPER)))
                        helper.owner[0] = '\0';
                if (!copy(helper.host, sizeof(helper.host), json_object_get(labels, DOCKER_LABEL_HOST)) ||
                    !copy(helper.life, sizeof(helper.life), json_object_get(labels, DOCKER_LABEL_LIFE)))
                        helper.host[0] = '\0';  /* nobody's */
                tell(context, &helper);
        }
        json_decref(root);
        return good;
}

static void tell_list(const json_t *names, void (*tell)(void *context, const char *name), void *context)
{
        for (size_t i = 0; i < json_array_size(names); i++)
                if (json_is_string(json_array_get(names, i)))
                        tell(context, json_string_value(json_array_get(names, i)));
}

/* Newer engines list all that their name service answers to, apart from the aliases. */
void docker_names_read(const char *json, size_t len, const char *const *networks, size_t network_count,
                       void (*tell)(void *context, const char *name), void *context)
{
        json_t *root = json_loadb(json, len, 0, NULL);
        const json_t *all = json_object_get(json_object_get(root, "NetworkSettings"), "Networks");
        const char *name = json_string_value(json_object_get(root, "Name"));

        for (size_t i = 0; i < network_count; i++) {
                const json_t *network = json_object_get(all, networks[i]);

                if (network && name)
                        tell(context, name + (*name == '/'));
                tell_list(json_object_get(network, "Aliases"), tell, context);
                tell_list(json_object_get(network, "DNSNames"), tell, context);
        }
        json_decref(root);
}

/* Where @folder is beneath @mount: what is left of it, or NULL. */
static const char *beneath(const char *mount, const char *folder)
{
        size_t len = mount ? strlen(mount) : 0;

        if (len < 2 || strncmp(folder, mount, len) != 0 || (folder[len] != '/' && folder[len] != '\0'))
                return NULL;
        return folder + len;
}

/* The innermost one counts; one that others can't be given is none. */
static void read_mount(const json_t *mounts, const char *folder, struct docker_self *out)
{
        size_t longest = 0;

        for (size_t i = 0; i < json_array_size(mounts); i++) {
                const json_t *mount = json_array_get(mounts, i);
                const char *at = json_string_value(json_object_get(mount, "Destination")), *rest = beneath(at, folder);
                const char *type = json_string_value(json_object_get(mount, "Type"));
                bool volume = type && strcmp(type, "volume") == 0, bind = type && strcmp(type, "bind") == 0;

                if (!rest || strlen(at) <= longest)
                        continue;
                longest = strlen(at);
                out->type[0] = '\0';
                if ((!volume && !bind) || !copy(out->source, sizeof(out->source), json_object_get(mount, volume ? "Name" : "Source")))
                        continue;
                snprintf(out->type, sizeof(out->type), "%s", type);
                snprintf(out->rest, sizeof(out->rest), "%s", rest);
        }
}

bool docker_self_read(const char *json, size_t len, const char *const *networks, size_t network_count, const char *folder,
                      struct docker_self *out)
{
        json_t *root = json_loadb(json, len, 0, NULL);
        const char *mode = json_string_value(json_object_get(json_object_get(root, "HostConfig"), "NetworkMode"));
        bool good;

        *out = (struct docker_self){ .networks = networks_of(root, networks, network_count) };
        good = copy(out->image, sizeof(out->image), json_object_get(root, "Image")) && mode;
        if (good) {
                out->shares = strcmp(mode, "host") == 0 || strcmp(mode, "none") == 0 || strncmp(mode, "container:", 10) == 0;
                read_mount(json_object_get(root, "Mounts"), folder, out);
        }
        json_decref(root);
        return good;
}

bool docker_made_read(const char *json, size_t len, char out[DOCKER_ID_MAX])
{
        json_t *root = json_loadb(json, len, 0, NULL);
        bool good = copy_id(out, json_object_get(root, "Id"));

        json_decref(root);
        return good;
}

void docker_says_read(const char *json, size_t len, char out[DOCKER_SAYS_MAX])
{
        json_t *root = json_loadb(json, len, 0, NULL);
        const char *text = json_string_value(json_object_get(root, "message"));
        size_t at = 0;

        for (; text && *text && at + 1 < DOCKER_SAYS_MAX; text++)
                out[at++] = *text >= ' ' && *text <= '~' ? *text : '?';
        out[at] = '\0';
        json_decref(root);
}
