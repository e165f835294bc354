/*
 * self.h - what is ours, so that mail does not come back to us (RFC 5321 §5.1): the host name, and the addresses at
 * which port 25 is ours. Read only; any thread.
 */
#pragma once
#include "relay/hosts.h"
#include "sys/config.h"

struct hosts_self {
    const char *hostname;
    const struct host_address *addresses; /* with ports */
    size_t address_count;
};
/* From [listen] smtp; where that is a wildcard, the addresses of all interfaces, as they are now. Before the sandbox:
 * it asks the kernel over a socket. Memory: the arena's, and the config's. */
struct hosts_self hosts_self_new(struct arena *a, const struct config *c);

bool hosts_is_self(const struct hosts_self *self, const struct host *h);
