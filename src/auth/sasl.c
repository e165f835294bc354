/* sasl.c - see sasl.h. */
#include "auth/sasl.h"
#include "base/mem.h"
#include "text/address.h"
#include "base/banned.h"

struct sasl_mechanism {
    const char *name;
    bool is_plus; /* SCRAM with channel binding */
    enum sasl_step (*take)(struct sasl *x, struct span response, bool is_absent, struct span *challenge);
};

/* RFC 4616 §2: message = [authzid] NUL authcid NUL passwd. The server acts for nobody but the user, so an authzid must
 * be the same as the authcid. */
static enum sasl_step take_plain(struct sasl *x, struct span response, bool is_absent, struct span *challenge)
{
    struct span authzid, authcid, password = response;
    if (is_absent && x->step++ == 0) {
        *challenge = SPAN_NONE;
        return SASL_STEP_CHALLENGE;
    }
    if (!span_cut(&password, '\0', &authzid) || !span_cut(&password, '\0', &authcid))
        return SASL_STEP_BAD;
    if (authcid.len == 0 || password.len == 0 || span_find_byte(password, '\0', 0) != SPAN_NPOS)
        return SASL_STEP_BAD;
    if (authzid.len > 0 && !span_eq(authzid, authcid))
        return SASL_STEP_BAD;
    strbuf_add(&x->user, authcid);
    strbuf_add(&x->password, password);
    return SASL_STEP_COMPLETE;
}

/* Two questions. An initial response is taken as the answer to the first, as clients send it. */
static enum sasl_step take_login(struct sasl *x, struct span response, bool is_absent, struct span *challenge)
{
    if (is_absent) {
        *challenge = SPAN("Username:");
        return x->step == 0 ? SASL_STEP_CHALLENGE : SASL_STEP_BAD;
    }
    if (response.len == 0 || span_find_byte(response, '\0', 0) != SPAN_NPOS)
        return SASL_STEP_BAD;
    if (x->step++ == 0) {
        strbuf_add(&x->user, response);
        *challenge = SPAN("Password:");
        return SASL_STEP_CHALLENGE;
    }
    strbuf_add(&x->password, response);
    return SASL_STEP_COMPLETE;
}

/* The name comes first; the keys to it; then the proof. */
static enum sasl_step take_scram(struct sasl *x, struct span response, bool is_absent, struct span *challenge)
{
    if (is_absent && x->step == 0) {
        *challenge = SPAN_NONE;
        return SASL_STEP_CHALLENGE;
    }
    if (x->step++ == 0) {
        x->scram.is_plus = x->mechanism->is_plus;
        x->scram.binding = x->binding;
        if (!scram_first(&x->scram, response))
            return SASL_STEP_BAD;
        strbuf_add(&x->user, strbuf_span(&x->scram.user));
        return SASL_STEP_KEYS;
    }
    strbuf_clear(&x->answer);
    x->is_proof = scram_final(&x->scram, response, &x->answer);
    return x->is_proof ? SASL_STEP_COMPLETE : SASL_STEP_BAD;
}

void sasl_give_keys(struct sasl *x, const struct scram_keys *keys, struct span *challenge)
{
    char nonce[SCRAM_NONCE_CHARS];
    scram_random_nonce(nonce);
    scram_challenge(&x->scram, keys, span_of(nonce, sizeof nonce), &x->answer);
    *challenge = strbuf_span(&x->answer);
}

static const struct sasl_mechanism mechanisms[] = {
    {"PLAIN", false, take_plain},
    {"LOGIN", false, take_login},
    {"SCRAM-SHA-256", false, take_scram},
    {"SCRAM-SHA-256-PLUS", true, take_scram},
};

const struct sasl_mechanism *sasl_find(struct span name)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++)
        if (span_ieq(name, span_cstr(mechanisms[i].name)))
            return &mechanisms[i];
    return NULL;
}

enum sasl_step sasl_take(struct sasl *x, struct span response, bool is_absent, struct span *challenge)
{
    return x->mechanism->take(x, response, is_absent, challenge);
}

void sasl_end(struct sasl *x)
{
    if (x->password.p)
        mem_wipe(x->password.p, x->password.cap);
    strbuf_free(&x->user);
    strbuf_free(&x->password);
    strbuf_free(&x->answer);
    scram_end(&x->scram);
    *x = (struct sasl){0};
}

enum status sasl_canonical_account(struct arena *a, struct span user, struct span *account, struct err *err)
{
    struct mailbox_address address;
    struct span domain;
    TRY(address_parse(a, user, true, &address, err));
    TRY(domain_to_ascii(a, address.domain, &domain, err));
    AUTO_STRBUF out = STRBUF_INIT;
    for (size_t i = 0; i < address.local_part.len; i++)
        strbuf_add_char(&out, ascii_lower(address.local_part.p[i]));
    strbuf_add_char(&out, '@');
    strbuf_add(&out, domain);
    *account = arena_strbuf(a, &out);
    return ST_OK;
}
