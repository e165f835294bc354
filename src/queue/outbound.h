/*
 * outbound.h - which of the config's routes a recipient takes, and so in whose queue it stands. Pure; any thread.
 *
 * A destination's name is what the queue groups by: a domain in A-label form ("example.test", "[192.0.2.1]"), "#NAME"
 * for a route that names a host (all of its domains wait for the same host), and "domain#NAME" for a route that only
 * changes how the domain's own hosts are reached.
 */
#pragma once
#include "base/arena.h"
#include "queue/queue.h"
#include "queue/schedule.h"
#include "sys/config_relay.h"

/* The first route of the config whose senders and recipients both match, or NULL. Domains in lower-case A-label form.
 */
const struct config_route *outbound_route(const struct config_relay *c, struct span sender_domain,
                                          struct span recipient_domain);
/* Domains as the envelope has them. */
struct span outbound_destination(const struct config_relay *c, struct arena *a, struct span sender_domain,
                                 struct span recipient_domain);
/* The two halves of a destination's name. *route is NULL where none is named; false: the name is of a route that the
 * config has no more. */
bool outbound_parse(const struct config_relay *c, struct span destination, struct span *domain,
                    const struct config_route **route);

struct schedule outbound_schedule(const struct config_relay *c);
int64_t outbound_first_deadline(const struct config_relay *c, int64_t now, const struct queue_wishes *w);
