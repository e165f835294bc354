/*
 * ports.h - binding what [listen] names. The master's, and `tassis check`'s.
 */
#pragma once
#include "sys/config.h"

/* A listening, non-blocking, close-on-exec socket. ST_IO with a text that says which address and why. */
enum status port_open(const struct listen_address *l, int *fd, struct err *err);
/* Removes a Unix-domain socket's file. */
void port_remove(const struct listen_address *l);
/* Whether something answers there now. */
bool port_answers(const struct listen_address *l);
