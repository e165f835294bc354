/*
 * search_filter.h - named searches that are kept on the server: the FILTER key (RFC 5466). Only for src/imap.
 *
 * A filter is the value of the user's private server entry /private/filters/values/NAME; the server's shared entries
 * come from the config, which has no filters.
 */
#pragma once
#include "imap/session.h"
#include "text/imap_search_args.h"

/* What FILTER finds for this session; in the arena, with the values it has found. */
struct search_filters *search_filters_new(const struct imap *im, struct arena *a);
/* The call's no_code for a program that could not be read: BADCHARSET, UNDEFINED-FILTER. */
void search_explain(struct imap_call *call, enum status st, const struct search_filters *filters);
/* Whether the value of an entry is what a filter may be (§3.2: a full search program); other entries are. ST_DENIED. */
enum status search_filter_check(struct span path, struct span value, struct err *err);
