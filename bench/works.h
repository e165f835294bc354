/*
 * works.h - the works, one short file each or for a family; main.c has the table of their names. Each returns when all
 * is done and counted, or does not return.
 */
#pragma once

void work_smtp(void);
void work_lmtp(void);
void work_submission(void);
void work_verify(void);
void work_idle(void);
void work_select(void);
void work_login(void);
void work_append(void);
void work_fill(void);
void work_pop3(void);
void work_search(void);
void work_store(void);
void work_copy(void);
void work_move(void);
void work_mixed(void);
void work_notify(void);
void work_resync(void);
void work_sink(void);
void work_fetch(void);
void work_limit_flush(void);
void work_limit_loopback(void);
