/* room.c - see room.h. */
#include "smtp/room.h"
#include "store/quota.h"
#include "base/banned.h"

struct smtp_code room_code(const struct mail_app *app)
{
    const struct config_quota *q = app->quota;
    return q && q->is_permanent ? (struct smtp_code){552, "5.2.2"} : (struct smtp_code){452, "4.2.2"};
}

/* What else may be wrong with a target shows when the message is there. */
static bool is_full(struct mail_app *app, const struct route_target *target, uint64_t size)
{
    struct err err;
    return target->is_local && store_has_room(app->store, target->address, size, &err) == ST_QUOTA;
}

bool room_for(struct smtp *sm, struct mail_app *app, const struct smtp_recipient *r)
{
    const struct smtp_mail_args *mail = &sm->transaction->mail;
    for (size_t i = 0; i < r->route.count; i++)
        if (!is_full(app, &r->route.targets[i], mail->has_size ? mail->size : 0))
            return true;
    if (r->route.count == 0)
        return true;
    struct smtp_code c = room_code(app);
    smtp_reply(sm, c.code, c.enhanced, "The mailbox is full");
    smtp_log_refused(sm, r->text, c.code, "over quota");
    return false;
}
