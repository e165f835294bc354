/*
 * probe.h - in builds for tests: a role that has just shut itself in tries to break out, and logs what became of it.
 */
#pragma once
struct role_run;
#ifdef TASSIS_PROBE
/* Only with TASSIS_PROBE=1 in the environment. */
void probe_run(struct role_run *r);
#else
static inline void probe_run(struct role_run *r)
{
    (void)r;
}
#endif
