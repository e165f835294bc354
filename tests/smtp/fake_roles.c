/* fake_roles.c - see fake_roles.h. Routing (policy/route.c) and the parsing of messages (store/content.c) are the real
 * ones. */
#include "fake_roles.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "fake_session.h"
#include "policy/url_auth.h"
#include "store/section.h"
#include "policy/route.h"
#include "store/quota.h"
#include "sys/channel.h"

struct fake_mail fake_delivered[FAKE_MAIL_MAX], fake_queued[FAKE_MAIL_MAX];
size_t fake_delivered_count, fake_queued_count;
unsigned fake_prepared;
const char *fake_broken_account, *fake_full_account;
uint64_t fake_room;
bool fake_queue_is_broken;
char fake_run[128];
bool fake_may_login;
char fake_handed_tag[64];
size_t fake_handed_unread;

void fake_reset(void)
{
    for (size_t i = 0; i < FAKE_MAIL_MAX; i++) {
        strbuf_free(&fake_delivered[i].text);
        strbuf_free(&fake_queued[i].text);
    }
    memset(fake_delivered, 0, sizeof fake_delivered);
    memset(fake_queued, 0, sizeof fake_queued);
    fake_delivered_count = fake_queued_count = 0;
    fake_broken_account = fake_full_account = NULL;
    fake_queue_is_broken = false;
    fake_may_login = true;
    fake_handed_tag[0] = '\0';
    fake_handed_unread = 0;
}

static void keep(char *to, size_t size, struct span s)
{
    snprintf(to, size, "%.*s", SPAN_ARG(s));
}

/* ---- directory ---------------------------------------------------------------------------------------------- */

enum status directory_lookup(struct directory *d, struct arena *a, struct span local_part, struct span domain,
                             struct address_entry *out, struct err *err)
{
    static const struct {
        const char *name;
        const char *targets[2];
    } aliases[] = {
        {"team", {"alice@example.test", "bob@example.test"}},
        {"away", {"bob@outside.test", NULL}},
        {"crowd", {"bob@outside.test", "list@outside.test"}},
        {"loop", {"alice@example.test", "bob@outside.test"}},
    };
    (void)d;
    (void)err;
    *out = (struct address_entry){.kind = ADDRESS_NO_DOMAIN};
    if (!span_eq(domain, SPAN("example.test")))
        return ST_OK;
    out->kind = ADDRESS_NONE;
    if (span_ieq(local_part, SPAN("alice")) || span_ieq(local_part, SPAN("bob")))
        out->kind = ADDRESS_ACCOUNT;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (!span_eq(local_part, span_cstr(aliases[i].name)))
            continue;
        out->kind = ADDRESS_ALIAS;
        out->targets = arena_array(a, 2, sizeof *out->targets);
        while (out->target_count < 2 && aliases[i].targets[out->target_count]) {
            out->targets[out->target_count] = span_cstr(aliases[i].targets[out->target_count]);
            out->target_count++;
        }
    }
    return ST_OK;
}

enum status directory_has_domain(struct directory *d, struct span domain, bool *out, struct err *err)
{
    (void)d;
    (void)err;
    *out = span_eq(domain, SPAN("example.test"));
    return ST_OK;
}

enum status directory_domain_list(struct directory *d, struct arena *a, struct span **list, size_t *count,
                                  struct err *err)
{
    (void)d;
    (void)err;
    *list = arena_array(a, 1, sizeof **list);
    (*list)[0] = SPAN("example.test");
    *count = 1;
    return ST_OK;
}

enum status directory_first_account(struct directory *d, struct arena *a, struct span domain,
                                    struct directory_account *out, struct err *err)
{
    (void)d;
    (void)a;
    (void)domain;
    (void)err;
    out->address = SPAN("alice@example.test");
    return ST_OK;
}

enum status directory_aliases_of(struct directory *d, struct arena *a, struct span address, struct span **list,
                                 size_t *count, struct err *err)
{
    (void)d;
    (void)a;
    (void)address;
    (void)err;
    *list = NULL;
    *count = 0;
    return ST_OK;
}

/* ---- store -------------------------------------------------------------------------------------------------- */

struct account {
    char address[128];
};

enum status account_open(struct store *s, struct span address, struct account **out, struct err *err)
{
    (void)s;
    (void)err;
    *out = mem_alloc(sizeof **out);
    keep((*out)->address, sizeof(*out)->address, address);
    return ST_OK;
}

void account_free(struct account **a)
{
    free(*a);
    *a = NULL;
}

/* ---- URLs: what stands behind "imap://" is the text, but for three words ------------------------------------------- */

void url_target_free(struct url_target *t)
{
    account_free(&t->account);
}

enum status url_authorize(struct store *store, struct span who, enum url_use use, struct span text, struct arena *a,
                          struct url_target *out, struct err *err)
{
    (void)who;
    assert(use == URL_USE_SUBMISSION);
    *out = (struct url_target){.url.section = arena_copy(a, span_skip(text, 7))};
    if (span_eq(out->url.section, SPAN("denied")))
        return err_set(err, ST_DENIED, "denied");
    return account_open(store, SPAN("alice@example.test"), &out->account, err);
}

enum status section_append(struct account *account, uint64_t reader, mailbox_id mailbox, const struct imap_url *url,
                           struct body *to, struct err *err)
{
    (void)account;
    (void)reader;
    (void)mailbox;
    if (span_eq(url->section, SPAN("missing")))
        return err_set(err, ST_NOTFOUND, "missing");
    if (span_eq(url->section, SPAN("bare")))
        return body_append(to, SPAN("A: a\nb\r\n"), err);
    TRY(body_append(to, url->section, err));
    return body_append(to, SPAN("\r\n"), err);
}

static enum status check_room(struct span address, uint64_t octets, struct err *err)
{
    if (fake_full_account && span_eq(address, span_cstr(fake_full_account)) && (octets ? octets : 1) > fake_room)
        return err_set(err, ST_QUOTA, "the account has no space left");
    return ST_OK;
}

enum status store_has_room(struct store *s, struct span address, uint64_t octets, struct err *err)
{
    (void)s;
    return check_room(address, octets, err);
}

/* The parsed forms that come with a message must be those of exactly this message. */
enum status message_deliver(struct account *account, struct span mailbox, const struct content *c,
                            struct mail_date received, uint32_t *uid, struct err *err)
{
    (void)received;
    assert(span_eq(mailbox, SPAN("INBOX")));
    if (fake_broken_account && strcmp(account->address, fake_broken_account) == 0)
        return err_set(err, ST_TEMPORARY, "account is busy");
    TRY(check_room(span_cstr(account->address), c->raw.len, err));
    AUTO_ARENA a = ARENA_INIT;
    struct content again;
    content_prepare(&a, c->raw, &again);
    fake_prepared++;
    assert(span_eq(c->parts, again.parts) && c->header_size == again.header_size);
    assert(span_eq(c->envelope, again.envelope) && span_eq(c->bodystructure, again.bodystructure));
    if (fake_delivered_count == FAKE_MAIL_MAX)
        return err_set(err, ST_QUOTA, "mailbox is full");
    struct fake_mail *m = &fake_delivered[fake_delivered_count++];
    strbuf_add(&m->text, c->raw);
    keep(m->to, sizeof m->to, span_cstr(account->address));
    *uid = (uint32_t)fake_delivered_count;
    return ST_OK;
}

/* ---- queue -------------------------------------------------------------------------------------------------- */

enum status queue_add(struct queue *q, const struct queue_envelope *e, struct span message, uint64_t *id,
                      struct err *err)
{
    (void)q;
    if (fake_queue_is_broken)
        return err_set(err, ST_IO, "disk is full");
    if (fake_queued_count == FAKE_MAIL_MAX)
        return err_set(err, ST_LIMIT, "queue is full");
    struct fake_mail *m = &fake_queued[fake_queued_count++];
    AUTO_STRBUF to = STRBUF_INIT, asked = STRBUF_INIT;
    for (size_t i = 0; i < e->to_count; i++) {
        strbuf_addf(&to, "%s%.*s", i ? " " : "", SPAN_ARG(e->to[i].address));
        strbuf_addf(&asked, "%s%u;%.*s", i ? " " : "", e->to[i].notify, SPAN_ARG(e->to[i].orcpt));
    }
    m->wishes = e->wishes;
    m->wishes.envid = SPAN_NONE;
    keep(m->asked, sizeof m->asked, strbuf_span(&asked));
    keep(m->to, sizeof m->to, strbuf_span(&to));
    keep(m->from, sizeof m->from, e->sender);
    keep(m->trace, sizeof m->trace, e->trace);
    strbuf_add(&m->text, message);
    *id = fake_queued_count;
    return ST_OK;
}

enum status queue_run(struct queue *q, enum queue_run_kind kind, struct span name, struct span also, size_t *count,
                      struct err *err)
{
    (void)q;
    if (fake_queue_is_broken)
        return err_set(err, ST_IO, "disk is full");
    snprintf(fake_run, sizeof fake_run, "%d %.*s %.*s", (int)kind, SPAN_ARG(name), SPAN_ARG(also));
    *count = span_eq(name, SPAN("one.test")) ? 2 : 0;
    return ST_OK;
}

/* ---- vault and gate ----------------------------------------------------------------------------------------- */

struct sasl_exchange {
    char mechanism[16];
    char user[64];
    unsigned step;
};

static enum sasl_result judge(struct span user, struct span password, struct sasl_exchange **x, struct err *err)
{
    bool ok = span_eq(user, SPAN("alice")) && span_eq(password, SPAN("secret"));
    sasl_exchange_free(x);
    if (ok)
        return SASL_DONE;
    err_set(err, ST_DENIED, "wrong");
    return SASL_FAILED;
}

static enum sasl_result plain(struct sasl_exchange **x, struct span response, struct err *err)
{
    struct span identity, user;
    span_cut(&response, '\0', &identity);
    span_cut(&response, '\0', &user);
    return judge(user, response, x, err);
}

enum sasl_result vault_sasl_next(struct vault_client *c, struct sasl_exchange **x, struct span response,
                                 struct strbuf *challenge, uint8_t ticket[VAULT_TICKET_BYTES], struct err *err)
{
    (void)c;
    memset(ticket, 7, VAULT_TICKET_BYTES);
    if (strcmp((*x)->mechanism, "PLAIN") == 0)
        return plain(x, response, err);
    if ((*x)->step++ == 0) {
        keep((*x)->user, sizeof(*x)->user, response);
        strbuf_add(challenge, SPAN("Password:"));
        return SASL_CONTINUE;
    }
    char user[64];
    memcpy(user, (*x)->user, sizeof user);
    return judge(span_cstr(user), response, x, err);
}

enum sasl_result vault_sasl_start(struct vault_client *c, struct span mechanism, struct span initial,
                                  const char *peer_address, struct span binding, struct sasl_exchange **x, struct strbuf *challenge,
                                  uint8_t ticket[VAULT_TICKET_BYTES], struct err *err)
{
    (void)peer_address, (void)binding;
    *x = NULL;
    if (!span_ieq(mechanism, SPAN("PLAIN")) && !span_ieq(mechanism, SPAN("LOGIN"))) {
        err_set(err, ST_UNSUPPORTED, "mechanism");
        return SASL_FAILED;
    }
    *x = mem_alloc(sizeof **x);
    keep((*x)->mechanism, sizeof(*x)->mechanism, span_ieq(mechanism, SPAN("PLAIN")) ? SPAN("PLAIN") : SPAN("LOGIN"));
    if (initial.p)
        return vault_sasl_next(c, x, initial, challenge, ticket, err);
    if (strcmp((*x)->mechanism, "LOGIN") == 0)
        strbuf_add(challenge, SPAN("Username:"));
    return SASL_CONTINUE;
}

void sasl_exchange_free(struct sasl_exchange **x)
{
    free(*x);
    *x = NULL;
}

bool gate_may_login(const struct session *s)
{
    (void)s;
    return fake_may_login;
}

enum status gate_hand_over(struct session *s, enum handover_protocol protocol, const uint8_t ticket[VAULT_TICKET_BYTES],
                           struct span tag, struct err *err)
{
    (void)err;
    assert(protocol == HANDOVER_SUBMISSION && ticket[0] == 7);
    keep(fake_handed_tag, sizeof fake_handed_tag, tag);
    fake_handed_unread = session_input(s).len;
    return ST_OK;
}

bool gate_login_failed(struct session *s, unsigned *failures, const struct err *err)
{
    (void)err;
    session_pause(s, 1000);
    return ++*failures < 3;
}

/* ---- services ----------------------------------------------------------------------------------------------- */

enum { SERVICES_MAX = 4 };
struct service {
    int caller, channel;
    const struct protocol *protocol;
    void *app;
    pthread_t thread;
    _Atomic bool is_stopping, is_hanging_up;
    _Atomic unsigned connections;
};
static struct service services[SERVICES_MAX];
static size_t service_count;

struct connection {
    struct service *service;
    int fd;
};

static void *serve_one(void *arg)
{
    struct connection *c = arg;
    struct session s;
    char buffer[65536];
    fake_open(&s, c->service->protocol, c->service->app, "");
    while (!s.is_closed) {
        for (size_t sent = 0; sent < s.out.len;) {
            ssize_t n = send(c->fd, s.out.p + sent, s.out.len - sent, MSG_NOSIGNAL);
            if (n <= 0)
                break;
            sent += (size_t)n;
        }
        strbuf_clear(&s.out);
        struct pollfd p = {c->fd, POLLIN, 0};
        if (poll(&p, 1, 20) == 0) {
            if (c->service->is_stopping || c->service->is_hanging_up)
                break;
            continue;
        }
        ssize_t n = read(c->fd, buffer, sizeof buffer);
        if (n <= 0)
            break;
        fake_put(&s, span_of(buffer, (size_t)n), 0);
    }
    (void)!send(c->fd, s.out.p ? s.out.p : "", s.out.len, MSG_NOSIGNAL);
    fake_close(&s);
    close(c->fd);
    c->service->connections--;
    free(c);
    return NULL;
}

static void *serve(void *arg)
{
    struct service *v = arg;
    while (!v->is_stopping) {
        struct pollfd p = {v->channel, POLLIN, 0};
        int fd;
        struct err err;
        if (poll(&p, 1, 20) != 1 || channel_accept(v->channel, &fd, &err) != ST_OK)
            continue;
        struct connection *c = mem_alloc(sizeof *c);
        *c = (struct connection){v, fd};
        v->connections++;
        pthread_t t;
        pthread_create(&t, NULL, serve_one, c);
        pthread_detach(t);
    }
    while (v->connections)
        poll(NULL, 0, 5);
    return NULL;
}

int fake_service_start(const struct protocol *p, void *app)
{
    assert(service_count < SERVICES_MAX);
    struct service *v = &services[service_count++];
    struct err err;
    v->protocol = p;
    v->app = app;
    v->is_stopping = false;
    v->connections = 0;
    assert(channel_new(&v->caller, &v->channel, &err) == ST_OK);
    pthread_create(&v->thread, NULL, serve, v);
    return v->caller;
}

void fake_service_stop(void)
{
    while (service_count) {
        struct service *v = &services[--service_count];
        v->is_stopping = true;
        pthread_join(v->thread, NULL);
        close(v->channel);
        close(v->caller);
    }
}

void fake_service_hang_up(void)
{
    for (size_t i = 0; i < service_count; i++) {
        services[i].is_hanging_up = true;
        while (services[i].connections)
            poll(NULL, 0, 5);
        services[i].is_hanging_up = false;
    }
}
