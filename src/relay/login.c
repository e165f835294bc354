/* login.c - see login.h. PLAIN where the peer knows it (RFC 4616), else LOGIN. */
#include "relay/login.h"
#include <stdio.h>
#include "base/mem.h"
#include "sys/file.h"
#include "text/codec.h"
#include "base/banned.h"

static enum status read_password(const char *path, struct strbuf *out, struct err *err)
{
    TRY(file_read(path, LOGIN_PASSWORD_MAX, out, err));
    size_t end = 0;
    while (end < out->len && out->p[end] != '\n' && out->p[end] != '\r')
        end++;
    strbuf_truncate(out, end);
    return ST_OK;
}

static void send_base64(struct smtp_client *c, const char *before, struct span secret)
{
    AUTO_STRBUF text = STRBUF_INIT;
    base64_encode(secret, &text);
    smtp_client_command(c, "%s%s", before, strbuf_cstr(&text));
    mem_wipe(text.p, text.len);
}

static enum status plain(struct smtp_client *c, struct span user, struct span password, int64_t reply_ms,
                         struct smtp_reply *r, struct err *err)
{
    AUTO_STRBUF message = STRBUF_INIT;
    strbuf_add_char(&message, '\0');
    strbuf_add(&message, user);
    strbuf_add_char(&message, '\0');
    strbuf_add(&message, password);
    send_base64(c, "AUTH PLAIN ", strbuf_span(&message));
    mem_wipe(message.p, message.len);
    return smtp_client_reply(c, reply_ms, r, err);
}

static enum status two_steps(struct smtp_client *c, struct span user, struct span password, int64_t reply_ms,
                             struct smtp_reply *r, struct err *err)
{
    smtp_client_command(c, "AUTH LOGIN");
    TRY(smtp_client_reply(c, reply_ms, r, err));
    if (r->code != 334)
        return ST_OK;
    send_base64(c, "", user);
    TRY(smtp_client_reply(c, reply_ms, r, err));
    if (r->code != 334)
        return ST_OK;
    send_base64(c, "", password);
    return smtp_client_reply(c, reply_ms, r, err);
}

enum status login(struct smtp_client *c, const struct config_route *route, int64_t reply_ms, char *reply,
                  size_t reply_size, struct err *err)
{
    AUTO_STRBUF password = STRBUF_INIT;
    struct smtp_reply r = {0};
    unsigned known = smtp_client_extensions(c);
    if (!(known & (SMTP_EXT_AUTH_PLAIN | SMTP_EXT_AUTH_LOGIN)))
        return err_set(err, ST_TEMPORARY, "the host offers no AUTH that is known here");
    enum status st = read_password(route->password_file, &password, err);
    if (st == ST_OK)
        st = known & SMTP_EXT_AUTH_PLAIN
                 ? plain(c, span_cstr(route->user), strbuf_span(&password), reply_ms, &r, err)
                 : two_steps(c, span_cstr(route->user), strbuf_span(&password), reply_ms, &r, err);
    if (password.p)
        mem_wipe(password.p, password.len);
    TRY(st);
    if (smtp_reply_is_good(&r))
        return ST_OK;
    snprintf(reply, reply_size, "451 4.7.8 the smarthost refuses the login: %u %s", r.code, r.text);
    return err_set(err, ST_TEMPORARY, "the smarthost refuses the login");
}
