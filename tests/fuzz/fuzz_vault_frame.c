/*
 * Frames to the vault: the first octet says which verbs the connection may use, the rest are its bytes. The vault is a
 * real one with a file of no accounts; passwords are not hashed (that is crypt(3)'s business, and slow): see the
 * stand-in below.
 */
#include <stdlib.h>
#include <unistd.h>
#include "fuzz.h"
#include "auth/vault_frame.h"
#include "auth/vault_service.h"
#include "base/log.h"

/* Linked in the place of auth/credentials.c. */
struct credentials {
    int unused;
};
static struct credentials none;

void credentials_free(struct credentials **c)
{
    *c = NULL;
}
bool credentials_is_cached(struct credentials *c, struct span account, struct span password)
{
    CHECK(c == &none && account.len <= VAULT_SASL_RESPONSE_MAX && password.len <= VAULT_SASL_RESPONSE_MAX);
    return false;
}
enum status credentials_check(struct credentials *c, struct span account, struct span password, struct err *err)
{
    (void)c;
    (void)account;
    return password.len > 0 && password.p[0] == 's' ? ST_OK : err_set(err, ST_DENIED, "wrong");
}

enum status credentials_scram(struct credentials *c, struct span account, struct scram_keys *keys, struct err *err)
{
    (void)c, (void)account, (void)err;
    *keys = (struct scram_keys){.iterations = SCRAM_ITERATIONS};
    return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vault *vault;
    if (!vault) {
        struct credentials *c = &none;
        log_set_level(LOG_ERROR + 1);
        vault = vault_new(&c, 1);
    }
    if (size == 0)
        return 0;
    const struct vault_listener l = {vault, data[0]};
    struct span rest = span_of(data + 1, size - 1), fields;
    struct vault_exchange *x = NULL;
    uint8_t verb;
    size_t used;
    AUTO_STRBUF out = STRBUF_INIT;
    while (vault_frame_next(rest, VAULT_FRAME_MAX, &verb, &fields, &used) == VAULT_FRAME_WHOLE) {
        CHECK(used <= rest.len);
        strbuf_clear(&out);
        bool goes_on = vault_answer(&l, &x, verb, fields, &out);
        struct span reply;
        uint8_t status;
        size_t reply_size;
        CHECK(vault_frame_next(strbuf_span(&out), VAULT_CERTIFICATES_MAX, &status, &reply, &reply_size) ==
              VAULT_FRAME_WHOLE);
        CHECK(reply_size == out.len && status < ST_COUNT);
        CHECK(verb < 8 && (data[0] >> verb & 1) ? true : status == ST_DENIED && !goes_on);
        if (!goes_on)
            break;
        rest = span_skip(rest, used);
    }
    vault_exchange_free(&x);
    return 0;
}
