/*
 * fixture.h - a store in a folder of its own, with accounts, for the tests of src/store. Everything asserts.
 */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "store/directory.h"
#include "store/quota.h"
#include "store/store.h"
#include "store/view.h"

struct fixture {
    char dir[64];
    struct store *store;
    struct account *account; /* alice@example.test */
    mailbox_id inbox;
    struct arena arena; /* freed with the fixture */
};

#define MUST(expr)                                                                                                     \
    do {                                                                                                               \
        struct err err = {0};                                                                                          \
        enum status must_ = (expr);                                                                                    \
        if (must_ != ST_OK) {                                                                                          \
            print_error("%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #expr, status_name(must_), err.operator_text);      \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)
#define MUST_BE(expected, expr)                                                                                        \
    do {                                                                                                               \
        struct err err = {0};                                                                                          \
        enum status must_ = (expr);                                                                                    \
        if (must_ != (expected)) {                                                                                     \
            print_error("%s:%d: %s: %s, not %s\n", __FILE__, __LINE__, #expr, status_name(must_),                      \
                        status_name(expected));                                                                        \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Closes and opens the store anew, with this many handles (0: the default). */
void fixture_reopen(struct fixture *f, uint32_t handles_max);
struct account *fixture_account(struct fixture *f, const char *local_part); /* example.test; added where missing */
mailbox_id mailbox_id_of(struct account *a, const char *name);
struct mailbox mailbox_now(struct fixture *f, mailbox_id id);
/* Adds a message of `size` octets with these flags; one transaction. */
uint32_t add_message(struct account *a, mailbox_id to, uint64_t flags, size_t size);
/* As fixture's account_check: no findings. */
void assert_sound(struct account *a);
struct seqset *set_of(struct arena *a, uint32_t first, uint32_t last);
/* For threads: as MUST without cmocka's jumps. */
#define THREAD_MUST(expr)                                                                                              \
    do {                                                                                                               \
        struct err err = {0};                                                                                          \
        if ((expr) != ST_OK) {                                                                                         \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expr, err.operator_text);                          \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)
