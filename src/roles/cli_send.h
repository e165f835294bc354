/*
 * cli_send.h - "tassis send", and the binary under its customary other names: mail of programs on this machine, given
 * to the server through [listen] local. Nothing is kept here: where the server cannot take it now, the exit code says
 * so (EX_TEMPFAIL) and the caller has it still.
 */
#pragma once

/* The config where none is said; $TASSIS_CONFIG comes before it. */
#define CLI_CONFIG_DEFAULT "/etc/tassis.conf"
const char *cli_config_path(void);

/* argv[0] is passed over. Returns a code of sysexits.h. */
int send_main(int argc, char **argv);
