/* local_sender.c - see local_sender.h. */
#include "policy/local_sender.h"
#include <stdio.h>
#include "policy/route.h"
#include "base/banned.h"

static bool is_user(const struct local_caller *who, const char *word)
{
    char number[16];
    snprintf(number, sizeof number, "%u", (unsigned)who->uid);
    return strcmp(word, number) == 0 || (who->name && strcmp(word, who->name) == 0);
}

static bool is_trusted(const struct local_caller *who, const struct config_local *rules)
{
    bool is = who->uid == 0;
    for (const char **t = rules->trusted; !is && *t; t++)
        is = is_user(who, *t);
    return is;
}

/* "@domain" or "local@domain"; local parts compare without case, as everywhere here. */
static bool row_matches(const char *row, struct span local_part, struct span domain)
{
    struct span rest = span_cstr(row);
    size_t at = span_rfind_byte(rest, '@');
    return span_ieq(span_skip(rest, at + 1), domain) && (at == 0 || span_ieq(span_take(rest, at), local_part));
}

static bool is_given(const struct local_caller *who, const struct config_local *rules, struct span local_part,
                     struct span domain)
{
    for (size_t i = 0; i < rules->sender_count; i++)
        if (is_user(who, rules->senders[i].user) && row_matches(rules->senders[i].address, local_part, domain))
            return true;
    return false;
}

static struct span without_subaddress(struct span local_part, const char *separator)
{
    size_t at = separator && *separator ? span_find(local_part, span_cstr(separator), 1) : SPAN_NPOS;
    return at == SPAN_NPOS ? local_part : span_take(local_part, at);
}

enum status local_may_send_as(const struct local_caller *who, const struct config_local *rules, const char *hostname,
                              struct directory *d, struct arena *a, const struct mailbox_address *from,
                              const char *separator, bool *may, struct err *err)
{
    struct span domain = SPAN_NONE;
    struct err why;
    *may = from->local_part.len == 0 || is_trusted(who, rules);
    if (*may || domain_to_ascii(a, from->domain, &domain, &why) != ST_OK)
        return ST_OK;
    *may = is_given(who, rules, from->local_part, domain);
    const char *own = rules->domain ? rules->domain : hostname;
    bool is_own = who->name && span_ieq(domain, span_cstr(own)) &&
                  span_ieq(without_subaddress(from->local_part, separator), span_cstr(who->name));
    if (*may || !is_own)
        return ST_OK;
    *may = true;
    if (rules->domain)
        return ST_OK;
    struct route somebody;
    switch (route_address(d, a, from, separator, &somebody, err)) {
    case ST_OK:
        *may = false;
        return ST_OK;
    case ST_DENIED: /* no domain of ours */
    case ST_NOTFOUND:
        return ST_OK;
    default:
        *may = false;
        return err->status;
    }
}
