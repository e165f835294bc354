/*
 * filter_internal.h - between filter.c (who is asked, and when), filter_macros.c (what filters are told beside) and
 * filter_apply.c (what becomes of a message).
 */
#pragma once
#include "smtp/filter.h"
#include "smtp/milters.h"

struct filter_link {
    const struct config_milter *config;
    size_t place;          /* in its config */
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

enum { FILTER_MACROS = 21 };

/* What a recipient is to macros. */
struct filter_recipient {
    struct span address, host, mailer;
};
/* r NULL: none. reply: how it was refused; empty: it was not. */
void filter_recipient_of(const struct smtp_recipient *r, struct span reply, struct filter_recipient *out);
/* All that are known now; which are sent is the filter's choice (milter/client.c). */
void filter_macros_of(const struct smtp *sm, const struct filter_recipient *r, struct arena *a,
                      struct milter_macro out[FILTER_MACROS]);

/* Does to the transaction what the filter wants. A recipient that it adds and that cannot be had is logged and left
 * out. */
enum status filter_apply(struct smtp *sm, const struct filter_link *l, const struct milter_changes *changes,
                         struct err *err);
