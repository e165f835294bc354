/*
 * filter_internal.h - between filter.c (who is asked, and when) and filter_apply.c (what becomes of a message).
 */
#pragma once
#include "milter/client.h"
#include "smtp/filter.h"

struct filter_link {
    const struct config_milter *config;
    struct milter *milter; /* NULL: not connected, or lost */
    bool is_session_accepted, is_message_accepted;
    bool is_in_message; /* has heard MAIL, and not the end */
};
struct filters {
    struct milters *role;
    struct filter_link links[CONFIG_MILTERS_MAX];
    size_t count;
    bool is_discarded; /* the message is accepted and thrown away */
};

/* Does to the transaction what the filter wants. A recipient that it adds and that cannot be had is logged and left
 * out. */
enum status filter_apply(struct smtp *sm, const struct filter_link *l, const struct milter_changes *changes,
                         struct err *err);
