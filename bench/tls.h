/*
 * tls.h - TLS for both sides of the bench. Nothing is verified. The caller frees what it gets.
 */
#pragma once
#include <openssl/ssl.h>

/* A client on fd; with --resume it offers the last ticket that a server gave. */
SSL *tls_client(int fd);
/* A server on fd, with a certificate made for this run (ECDSA P-256, as the servers under test have). */
SSL *tls_server(int fd);
