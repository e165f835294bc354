/*
 * vault_protocol.h - the bytes between a role and the vault: small frames over a stream socket from a channel.
 *
 *   request   u32 length of what follows, u8 verb, fields…      reply   u32 length, u8 status (enum status), fields…
 *   a field is u16 length and that many bytes; numbers are fields of fixed size; integers are in host order (same
 * machine).
 *
 * A reply that is not ST_OK has one field: the text that a client may read.
 *
 * Which verbs a connection may use is decided by the channel it came through: `gate` SASL, SIGN and CERTIFICATES; `mx`
 * SIGN and CERTIFICATES; `mail` REDEEM. Every length is checked against the verb's limits before anything is read from
 * it.
 */
#pragma once
#include <stdint.h>

enum vault_verb {
    VAULT_SASL_START = 1, /* mechanism, peer address, channel binding (tls-exporter's 32 octets, or none),
                          has_initial(1), initial response */
    VAULT_SASL_NEXT = 2,  /* response */
    VAULT_REDEEM = 3,     /* ticket(32) -> account address */
    VAULT_SIGN = 4,       /* key id(4), scheme(1), input -> signature */
    VAULT_CERTIFICATES =
        5 /* -> two fields for each chain: key id(4), PEM. An id says which public key, so it outlives reloads */
};

/* First field of a SASL reply with ST_OK. */
enum vault_sasl_result {
    VAULT_SASL_CONTINUE = 1, /* challenge */
    VAULT_SASL_DONE = 2,     /* ticket(32), final challenge data (SCRAM's server signature; may be empty) */
    VAULT_SASL_FAILED = 3    /* wrong credentials; nothing more is said */
};

enum {
    VAULT_FRAME_MAX = 16384, /* but CERTIFICATES' reply: */
    VAULT_CERTIFICATES_MAX = 1 << 20,
    VAULT_TICKET_BYTES = 32,
    VAULT_TICKET_SECONDS = 30,
    VAULT_SASL_RESPONSE_MAX = 4096
};
