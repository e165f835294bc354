/*
 * rates.h - limits of messages, recipients and connections in an hour ([rates]), for the doors that strangers and
 * clients come to. What is over one is answered with 4xx 4.7.x and logged: it may come later, and does.
 */
#pragma once
#include "smtp/session.h"
#include "sys/config_rates.h"

struct rate;
/* One more of this kind for the client: for its network (an IPv4 address, an IPv6 /64), or for the account or local
 * user that it is. False: too many, and the command has been answered. */
bool rates_allow(struct smtp *sm, struct rate *counts, const struct config_rates *limits, enum config_rate kind);
