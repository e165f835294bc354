/*
 * test_keys.h - self-signed certificates made on the spot, and a signer that stands in for the vault.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "net/tls.h"

struct test_keys;
struct test_keys *test_keys_new(void);
void test_keys_free(struct test_keys **k);
/* kind: "rsa" (2048), "ec" (P-256), "ec384". */
void test_keys_add(struct test_keys *k, const char *kind, const char *const names[], size_t count);
struct tls_context *test_keys_context(struct test_keys *k);
uint32_t test_keys_signatures(const struct test_keys *k);
void test_keys_fail(struct test_keys *k, bool must_fail);
