/*
 * table.c - every command of IMAP that this server knows. A row says what a command is; dispatch.c enforces it; the
 * function does the work. CAPABILITY is made from the same rows.
 */
#include <inttypes.h>
#include "imap/commands.h"
#include "imap/internal.h"
#include "base/banned.h"

enum {
    LOGIN = IMAP_NOT_AUTHENTICATED,
    AUTH = IMAP_LOGGED_IN,
    SELECTED = IMAP_SELECTED,
    ANY = IMAP_ANY_STATE,

    VIEW = IMAP_NEEDS_VIEW,
    HOLDS = IMAP_HOLDS_EXPUNGE,
    UID = IMAP_IS_UID,
    WRITES = IMAP_NEEDS_WRITE,
    TRYCREATE = IMAP_TRYCREATE,
    BODY = IMAP_HAS_BODY,
    NUM = IMAP_HAS_NUMBERS,
};

/* clang-format off */
static const struct imap_command commands[] = {
    /* name           states    flags                      capability            RFC                   function */
    { "CAPABILITY",   ANY,      0,                         NULL,                 "3501 §6.1.1",        cmd_capability },
    { "NOOP",         ANY,      0,                         NULL,                 "3501 §6.1.2",        cmd_noop },
    { "LOGOUT",       ANY,      0,                         NULL,                 "3501 §6.1.3",        cmd_logout },
    { "ID",           ANY,      0,                         "ID",                 "2971",               cmd_id },
    { "LANGUAGE",     ANY,      0,                         "LANGUAGE",           "5255 §3.2",          cmd_language },
    { "STARTTLS",     LOGIN,    0,                         "STARTTLS",           "3501 §6.2.1",        cmd_starttls },
    { "AUTHENTICATE", LOGIN,    0,                         "SASL-IR",            "3501 §6.2.2, 4959",  cmd_authenticate },
    { "LOGIN",        LOGIN,    0,                         NULL,                 "3501 §6.2.3",        cmd_login },
    { "UNAUTHENTICATE", AUTH,   0,                         "UNAUTHENTICATE",     "8437",               cmd_unauthenticate },
    { "COMPARATOR",   AUTH,     0,                         "I18NLEVEL=2",        "5255 §4.7",          cmd_comparator },
    { "COMPRESS",     AUTH,     0,                         "COMPRESS=DEFLATE",   "4978",               cmd_compress },
    { "ENABLE",       AUTH,     0,                         "ENABLE",             "5161",               cmd_enable },
    { "SELECT",       AUTH,     0,                         NULL,                 "3501 §6.3.1",        cmd_select },
    { "EXAMINE",      AUTH,     0,                         NULL,                 "3501 §6.3.2",        cmd_examine },
    { "CREATE",       AUTH,     0,                         "CREATE-SPECIAL-USE", "3501 §6.3.3, 6154",  cmd_create },
    { "DELETE",       AUTH,     0,                         NULL,                 "3501 §6.3.4",        cmd_delete },
    { "RENAME",       AUTH,     0,                         NULL,                 "3501 §6.3.5",        cmd_rename },
    { "SUBSCRIBE",    AUTH,     0,                         NULL,                 "3501 §6.3.6",        cmd_subscribe },
    { "UNSUBSCRIBE",  AUTH,     0,                         NULL,                 "3501 §6.3.7",        cmd_unsubscribe },
    { "LIST",         AUTH,     0,                         "SPECIAL-USE",        "3501 §6.3.8, 6154",  cmd_list },
    { "LSUB",         AUTH,     0,                         NULL,                 "3501 §6.3.9",        cmd_lsub },
    { "STATUS",       AUTH,     0,                         "STATUS=SIZE",        "3501 §6.3.10, 8438", cmd_status },
    { "APPEND",       AUTH,     BODY | TRYCREATE,          "MULTIAPPEND",        "3501 §6.3.11, 3502", cmd_append },
    { "SETACL",       AUTH,     0,                         "ACL",                "4314 §3.1",          cmd_setacl },
    { "DELETEACL",    AUTH,     0,                         NULL,                 "4314 §3.2",          cmd_deleteacl },
    { "GETQUOTAROOT", AUTH,     0,                         "QUOTA",              "9208 §4.1.2",        cmd_getquotaroot },
    { "GETQUOTA",     AUTH,     0,                         NULL,                 "9208 §4.1.1",        cmd_getquota },
    { "SETQUOTA",     AUTH,     0,                         NULL,                 "9208 §4.1.3",        cmd_setquota },
    { "GETACL",       AUTH,     0,                         NULL,                 "4314 §3.3",          cmd_getacl },
    { "LISTRIGHTS",   AUTH,     0,                         "RIGHTS=kxte",        "4314 §3.4",          cmd_listrights },
    { "MYRIGHTS",     AUTH,     0,                         NULL,                 "4314 §3.5",          cmd_myrights },
    { "GETMETADATA",  AUTH,     0,                         "METADATA",           "5464 §4.2",          cmd_getmetadata },
    { "SETMETADATA",  AUTH,     0,                         NULL,                 "5464 §4.3",          cmd_setmetadata },
    { "NAMESPACE",    AUTH,     0,                         "NAMESPACE",          "2342",               cmd_namespace },
    { "GENURLAUTH",   AUTH,     0,                         "URLAUTH",            "4467 §7",            cmd_genurlauth },
    { "RESETKEY",     AUTH,     0,                         NULL,                 "4467 §7",            cmd_resetkey },
    { "URLFETCH",     AUTH,     0,                         NULL,                 "4467 §7, 5524",      cmd_urlfetch },
    { "IDLE",         AUTH,     0,                         "IDLE",               "2177",               cmd_idle },
    { "NOTIFY",       AUTH,     0,                         "NOTIFY",             "5465",               cmd_notify },
    { "CHECK",        SELECTED, 0,                         NULL,                 "3501 §6.4.1",        cmd_noop },
    { "CLOSE",        SELECTED, 0,                         NULL,                 "3501 §6.4.2",        cmd_close },
    { "UNSELECT",     SELECTED, 0,                         "UNSELECT",           "3691",               cmd_unselect },
    { "UIDBATCHES",   SELECTED, VIEW,                      "UIDBATCHES",         "10022",              cmd_uidbatches },
    { "EXPUNGE",      SELECTED, VIEW | WRITES,             NULL,                 "3501 §6.4.3",        cmd_expunge },
    { "UID EXPUNGE",  SELECTED, VIEW | WRITES | UID,       "UIDPLUS",            "4315 §2.1",          cmd_expunge },
    { "SEARCH",       SELECTED, VIEW | NUM | HOLDS,        "ESEARCH",            "3501 §6.4.4, 4731",  cmd_search },
    { "UID SEARCH",   SELECTED, VIEW | UID,                NULL,                 "3501 §6.4.8",        cmd_search },
    { "ESEARCH",      AUTH,     UID,                       "MULTISEARCH",        "7377",               cmd_esearch },
    { "SORT",         SELECTED, VIEW | NUM | HOLDS,        "SORT",               "5256, 5267 §3",      cmd_sort },
    { "UID SORT",     SELECTED, VIEW | UID,                NULL,                 "5256",               cmd_sort },
    { "THREAD",       SELECTED, VIEW | NUM | HOLDS,        "THREAD=ORDEREDSUBJECT", "5256",            cmd_thread },
    { "UID THREAD",   SELECTED, VIEW | UID,                "THREAD=REFERENCES",  "5256",               cmd_thread },
    { "CANCELUPDATE", SELECTED, 0,                         "CONTEXT=SEARCH",     "5267 §4.3.5",        cmd_cancelupdate },
    { "FETCH",        SELECTED, VIEW | NUM | HOLDS,        NULL,                 "3501 §6.4.5",        cmd_fetch },
    { "UID FETCH",    SELECTED, VIEW | UID,                NULL,                 "3501 §6.4.8",        cmd_fetch },
    { "STORE",        SELECTED, VIEW | NUM | HOLDS | WRITES, NULL,               "3501 §6.4.6",        cmd_store },
    { "UID STORE",    SELECTED, VIEW | UID | WRITES,       NULL,                 "3501 §6.4.8",        cmd_store },
    { "COPY",         SELECTED, VIEW | NUM | TRYCREATE,    NULL,                 "3501 §6.4.7",        cmd_copy },
    { "UID COPY",     SELECTED, VIEW | UID | TRYCREATE,    NULL,                 "3501 §6.4.8",        cmd_copy },
    { "REPLACE",      SELECTED, VIEW | NUM | WRITES | TRYCREATE | BODY, "REPLACE",     "8508",               cmd_replace },
    { "UID REPLACE",  SELECTED, VIEW | UID | WRITES | TRYCREATE | BODY, NULL,    "8508",               cmd_replace },
    { "MOVE",         SELECTED, VIEW | NUM | WRITES | TRYCREATE, "MOVE",               "6851",               cmd_move },
    { "UID MOVE",     SELECTED, VIEW | UID | WRITES | TRYCREATE, NULL,           "6851",               cmd_move },
};
/* clang-format on */
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

/* Capabilities that are no command's own, and the states in which they are told. */
static const struct {
    const char *name;
    const char *rfc;
    unsigned states;
} others[] = {
    /* clang-format off */
    { "IMAP4rev1", "3501",  ANY  },
    { "IMAP4rev2", "9051",  ANY  },
    { "LITERAL+",  "7888",  ANY  },
    { "CHILDREN",  "3348",  AUTH },
    { "LIST-EXTENDED", "5258", AUTH },
    { "LIST-STATUS", "5819", AUTH },
    { "LIST-MYRIGHTS", "8440", AUTH },
    { "LIST-METADATA", "9590", AUTH },
    { "CONDSTORE", "7162",  AUTH },
    { "SAVEDATE",  "8514",  AUTH },
    { "QRESYNC",   "7162",  AUTH },
    { "UIDONLY",   "9586",  AUTH },
    { "INPROGRESS", "9585", AUTH },
    { "PARTIAL",   "9394",  AUTH },
    { "OBJECTID",  "8474",  AUTH },
    { "PREVIEW",   "8970",  AUTH },
    { "ESORT",     "5267",  AUTH },
    { "CONTEXT=SORT", "5267", AUTH },
    { "SORT=DISPLAY", "5957", AUTH },
    { "FILTERS",   "5466",  AUTH },
    { "SEARCH=FUZZY", "6203", AUTH },
    { "SEARCHRES", "5182",  AUTH },
    { "WITHIN",    "5032",  AUTH },
    { "UTF8=ACCEPT", "6855", AUTH },
    { "BINARY",    "3516",  AUTH },
    { "QUOTA=RES-STORAGE", "9208", AUTH },
    { "QUOTA=RES-MESSAGE", "9208", AUTH },
    { "QUOTA=RES-MAILBOX", "9208", AUTH },
    { "CATENATE",  "4469",  AUTH },
    { "URL-PARTIAL", "5550", AUTH },
    { "URLAUTH=BINARY", "5524", AUTH },
    /* clang-format on */
};

const struct imap_command *imap_command_find(struct span name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (span_ieq(name, span_cstr(commands[i].name)))
            return &commands[i];
    return NULL;
}

size_t imap_command_count(void)
{
    return COMMAND_COUNT;
}

const struct imap_command *imap_command_at(size_t row)
{
    return row < COMMAND_COUNT ? &commands[row] : NULL;
}

/* Before login, what can be used there; after it, what can be used from there on. */
static bool is_offered(const struct imap *im, const struct imap_command *c)
{
    if (!c->capability)
        return false;
    if (im->state != IMAP_NOT_AUTHENTICATED)
        return c->states & IMAP_LOGGED_IN;
    if (c->run == cmd_starttls)
        return session_can_tls(im->session) && !session_is_tls(im->session);
    return c->states & IMAP_NOT_AUTHENTICATED;
}

/* Capabilities with a number in them: APPENDLIMIT (RFC 7889), MESSAGELIMIT and SAVELIMIT (RFC 9738) where there are
 * limits. */
static void write_limits(const struct imap *im, struct strbuf *out)
{
    const struct mail_app *app = imap_mail_app(im);
    strbuf_addf(out, " APPENDLIMIT=%" PRIu64, (uint64_t)app->message_size_max);
    if (app->messages_per_command)
        strbuf_addf(out, " MESSAGELIMIT=%u", (uint32_t)app->messages_per_command);
    if (app->messages_per_save)
        strbuf_addf(out, " SAVELIMIT=%u", (uint32_t)app->messages_per_save);
}

static void write_mechanisms(const struct imap *im, struct strbuf *out)
{
    if (gate_may_login(im->session))
        gate_write_mechanisms(im->session, " AUTH=", out);
    else
        strbuf_add_cstr(out, " LOGINDISABLED");
}

void imap_write_capabilities(const struct imap *im, struct strbuf *out)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].states & im->state)
            strbuf_addf(out, "%s%s", i ? " " : "", others[i].name);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (is_offered(im, &commands[i]))
            strbuf_addf(out, " %s", commands[i].capability);
    if (im->state != IMAP_NOT_AUTHENTICATED)
        write_limits(im, out);
    if (im->state != IMAP_NOT_AUTHENTICATED && imap_is_quota_administrator(im))
        strbuf_add_cstr(out, " QUOTASET"); /* SETQUOTA is of no use to others */
    if (im->state == IMAP_NOT_AUTHENTICATED)
        write_mechanisms(im, out);
}
