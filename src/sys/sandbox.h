/*
 * sandbox.h - a role gives up what it does not need, before it reads its first byte from a stranger.
 *
 * Landlock takes the files and TCP ports away (where the kernel can; else one logged warning), seccomp the system
 * calls, and on top of that: no new privileges, no core dumps. Called once by the role's only thread, before it makes
 * others. There is no way back.
 */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which groups of system calls a role has, beside those that every role needs (memory, threads, time, its open
 * sockets). */
enum {
    SANDBOX_FILES = 1,   /* open, write, flush, rename… (Landlock says where) */
    SANDBOX_NETWORK = 2, /* make sockets and connect outward; without it there are only passed ones and socketpairs */
};

struct sandbox_path {
    const char *path; /* a missing one is skipped */
    bool is_writable; /* with making, renaming and removing beneath it */
};

struct sandbox {
    unsigned groups;
    const struct sandbox_path *paths;
    size_t path_count;
};

enum status sandbox_enter(const struct sandbox *box, struct err *err);

/* Raises the soft limit of open files to the hard one; returns it. */
uint64_t open_files_raise(void);
