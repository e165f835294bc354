/* users.c - see users.h. */
#include "roles/users.h"
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"
#include "roles/role.h"
#include "base/banned.h"

struct known {
    uint32_t uid;
    int64_t until_ms; /* 0: the place is free */
    char name[CONFIG_USER_MAX + 1];
};

struct users {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct known known[USERS_REMEMBERED]; /* a user's place is its number's remainder */
};

struct users *users_new(void)
{
    struct users *u = mem_alloc(sizeof *u);
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->answered, NULL);
    return u;
}

static struct known *place_of(struct users *u, uint32_t uid)
{
    return &u->known[uid % USERS_REMEMBERED];
}

static bool is_known(struct users *u, uint32_t uid)
{
    const struct known *k = place_of(u, uid);
    return k->uid == uid && k->until_ms > clock_mono_ms();
}

static void ask(uint32_t uid)
{
    char question[32];
    snprintf(question, sizeof question, CONTROL_USER " %u", (unsigned)uid);
    role_tell_master(question);
}

enum status users_name(void *ctx, uint32_t uid, char name[CONFIG_USER_MAX + 1], struct err *err)
{
    struct users *u = ctx;
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += USERS_WAIT_MS / 1000;
    pthread_mutex_lock(&u->lock);
    if (!is_known(u, uid))
        ask(uid);
    while (!is_known(u, uid) && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&u->answered, &u->lock, &until);
    bool is = is_known(u, uid);
    if (is)
        memcpy(name, place_of(u, uid)->name, CONFIG_USER_MAX + 1);
    pthread_mutex_unlock(&u->lock);
    if (!is)
        return err_set(err, ST_TEMPORARY, "the master does not say who user %u is", (unsigned)uid);
    return name[0] ? ST_OK : err_set(err, ST_NOTFOUND, "no user has this number");
}

void users_answer(struct users *u, struct span args)
{
    struct span number;
    uint64_t uid;
    span_cut(&args, ' ', &number);
    if (!span_to_u64(number, UINT32_MAX, &uid) || args.len > CONFIG_USER_MAX)
        return;
    pthread_mutex_lock(&u->lock);
    struct known *k = place_of(u, (uint32_t)uid);
    *k = (struct known){.uid = (uint32_t)uid, .until_ms = clock_mono_ms() + USERS_REMEMBER_MS};
    memcpy(k->name, args.p, args.len);
    pthread_cond_broadcast(&u->answered);
    pthread_mutex_unlock(&u->lock);
}

/* ---- the master's side ----------------------------------------------------------------------------------------- */

/* What can stand in an address and in a log line as it is; other names count as none. */
static bool is_plain(const char *name)
{
    size_t n = 0;
    for (; name[n]; n++)
        if (!ascii_is_alpha(name[n]) && !ascii_is_digit(name[n]) && !strchr("._-", name[n]))
            return false;
    return n > 0 && n <= CONFIG_USER_MAX && !ascii_is_digit(name[0]) && name[0] != '.' && name[0] != '-';
}

bool users_look_up(struct span message, char *answer, size_t size)
{
    struct span word;
    uint64_t uid;
    struct passwd entry, *found = NULL;
    char text[4096];
    span_cut(&message, ' ', &word);
    if (!span_eq(word, SPAN(CONTROL_USER)) || !span_to_u64(message, UINT32_MAX, &uid))
        return false;
    bool has_name = getpwuid_r((uid_t)uid, &entry, text, sizeof text, &found) == 0 && found && is_plain(entry.pw_name);
    snprintf(answer, size, CONTROL_USER " %u%s%s", (unsigned)uid, has_name ? " " : "", has_name ? entry.pw_name : "");
    return true;
}
