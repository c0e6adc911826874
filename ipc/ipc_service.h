/* SPDX-License-Identifier: BSD-3-Clause */
/* A service among those that one provider has behind one gate port. */
#ifndef HG_IPC_SERVICE_H
#define HG_IPC_SERVICE_H

#include <stdint.h>

/* Its name between a gateway and that provider (hypergate.md 15.4, svc), made from what the provider advertises of it; never 0. FNV-1a of 64
 * bits over the host, a zero byte, the port in big-endian and the tags: only the provider's own services must differ from each other. */
uint64_t ipc_service_name(const char *host, uint16_t port, const char *tags);

/* Of the name by which TLS clients ask for a service, "a.example" or, for all with one word more in front, "*.example", in lower case: made the
 * same way, and folded. "" is 0. Who could find another of the same number may as well offer a service of that name. */
uint32_t ipc_server_name(const char *name);

#endif
