/*
 * smtp_param.h - parameters of MAIL and RCPT by name, for smtp_command.c.
 */
#pragma once
#include "text/smtp_command.h"

struct smtp_parameter {
    struct span name, value;
    bool has_value;
};

/* Fills *err and returns f. */
enum smtp_fault smtp_fault_set(struct err *err, enum smtp_fault f, const char *text);
enum smtp_fault smtp_mail_param(const struct smtp_parameter *p, unsigned params, struct smtp_mail_args *out,
                                struct err *err);
enum smtp_fault smtp_rcpt_param(const struct smtp_parameter *p, unsigned params, struct smtp_rcpt_args *out,
                                struct err *err);
