/*
 * cli_check.h - what the parts of `tassis check` share: findings, a line each.
 */
#pragma once
#include "roles/cli.h"

enum finding { FINDING_OK, FINDING_WARNING, FINDING_ERROR };
/* what: "port", "dns"…; a line, or an object of the JSON list. An error makes the exit code 1. */
struct findings {
    struct cli *cli;
    json_t *list;
};
void finding(struct findings *f, enum finding kind, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* cli_check_dns.c: MX of each domain, addresses of the host name. Failures are warnings: the network may be away. */
enum status check_dns(struct findings *f, struct err *err);
