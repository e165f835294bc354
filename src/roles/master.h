/*
 * master.h - the master: binds ports, starts the roles and keeps them running. One thread, no input from any network.
 */
#pragma once
#include "roles/role.h"

struct child {
    pid_t pid;                /* 0: not running */
    int control;              /* the master's end; -1 */
    bool is_ready, was_ready; /* this one; ever */
    int64_t started_at_ms, restart_at_ms;
    unsigned deaths; /* in a row, soon after the start */
};

struct master {
    const char *config_path;
    char *base_dir, *config_name;
    struct config *config;
    int config_fd;                  /* memory file with the text of `config` */
    int channels[CHANNEL_COUNT][2]; /* caller's end, service's end */
    int *ports;                     /* config->listen_count */
    int signals;                    /* signalfd */
    struct child children[ROLE_COUNT];
    bool is_announced; /* "ready" was logged */
    bool is_stopping;
    unsigned stage; /* of the stop */
    int64_t stop_began_ms;
    int exit_code;
};

/* spawn.c: starts a role with its descriptors. */
enum status role_spawn(struct master *m, enum role r, struct err *err);

/* "tassis serve": returns the exit code. */
int master_main(const char *config_path);
