/* check.h - what the tests of texts share: cmocka, and spans that say what they were when they differ. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/span.h"

#define ROWS(table) (sizeof(table) / sizeof *(table))

/* fail_msg(): `what` names the row. */
static inline void check_span(const char *what, struct span got, struct span want)
{
    if (!span_eq(got, want))
        fail_msg("%s: \"%.*s\" instead of \"%.*s\"", what, SPAN_ARG(got), SPAN_ARG(want));
}
