/*
 * sandbox.c - see sandbox.h.
 *
 * Landlock is spoken by system call, with the numbers of the kernel's ABI written here, because libc has no wrapper and
 * the build machine's headers may be older than the kernel that runs us. What the running kernel does not know is left
 * out of the ruleset.
 *
 * seccomp: an allow-list. What no role ever does on purpose, and what only an intruder would try (exec, ptrace,
 * mount…), kills the process: the master logs it. Everything else answers EPERM, since libraries probe for things they
 * can do without.
 */
#include "sys/sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/log.h"
#include "base/span.h"
#include "base/banned.h"

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* ---- Landlock (linux/landlock.h; Documentation/userspace-api/landlock.rst) -----------------------------------------
 */

enum {
    NR_CREATE_RULESET = 444,
    NR_ADD_RULE = 445,
    NR_RESTRICT_SELF = 446,
    CREATE_RULESET_VERSION = 1,
    RULE_PATH_BENEATH = 1,
    RULE_NET_PORT = 2,
};
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_ALL_ABI1 = (1 << 13) - 1,
    FS_REFER = 1 << 13,     /* ABI 2 */
    FS_TRUNCATE = 1 << 14,  /* ABI 3 */
    FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
};
enum { NET_BIND_TCP = 1 << 0, NET_CONNECT_TCP = 1 << 1 };            /* ABI 4 */
enum { SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1 }; /* ABI 6 */

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};
struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

struct net_port_attr {
    uint64_t allowed_access;
    uint64_t port;
};

/* How much of struct ruleset_attr a kernel of this ABI knows. */
static size_t ruleset_size(long abi)
{
    return abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
}

static struct ruleset_attr ruleset_for(long abi, unsigned groups)
{
    struct ruleset_attr r = {.handled_access_fs = FS_ALL_ABI1};
    if (abi >= 2)
        r.handled_access_fs |= FS_REFER;
    if (abi >= 3)
        r.handled_access_fs |= FS_TRUNCATE;
    if (abi >= 4)
        r.handled_access_net = NET_BIND_TCP | (groups & SANDBOX_NETWORK ? 0 : NET_CONNECT_TCP);
    if (abi >= 5)
        r.handled_access_fs |= FS_IOCTL_DEV;
    if (abi >= 6)
        r.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    return r;
}

static enum status allow_path(int ruleset, const struct ruleset_attr *r, const struct sandbox_path *p, struct err *err)
{
    AUTO_FD int fd = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? ST_OK : err_errno(err, "cannot open %s", p->path);
    uint64_t access = FS_READ_FILE | FS_READ_DIR;
    if (p->is_writable)
        access |= FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE;
    struct path_beneath_attr rule = {.allowed_access = access & r->handled_access_fs, .parent_fd = fd};
    if (syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0)
        return ST_OK;
    /* A plain file takes only the rights that files have. */
    rule.allowed_access &= FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE;
    if (syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
        return err_errno(err, "landlock: %s", p->path);
    return ST_OK;
}

/* A source address is chosen by bind() with port 0, "any free one"; no other port, and nobody can listen() on it. */
static enum status allow_source_addresses(int ruleset, const struct ruleset_attr *r, unsigned groups, struct err *err)
{
    struct net_port_attr rule = {.allowed_access = NET_BIND_TCP, .port = 0};
    if (!(groups & SANDBOX_NETWORK) || !(r->handled_access_net & NET_BIND_TCP))
        return ST_OK;
    return syscall(NR_ADD_RULE, ruleset, RULE_NET_PORT, &rule, 0) == 0 ? ST_OK : err_errno(err, "landlock: bind");
}

static enum status landlock_enter(const struct sandbox *box, struct err *err)
{
    long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
    if (abi < 1) {
        log_text(LOG_WARN, "no-landlock", "this kernel has no Landlock: files are protected by user ids alone");
        return ST_OK;
    }
    struct ruleset_attr r = ruleset_for(abi, box->groups);
    AUTO_FD int ruleset = (int)syscall(NR_CREATE_RULESET, &r, ruleset_size(abi), 0);
    if (ruleset < 0)
        return err_errno(err, "landlock_create_ruleset");
    for (size_t i = 0; i < box->path_count; i++)
        TRY(allow_path(ruleset, &r, &box->paths[i], err));
    TRY(allow_source_addresses(ruleset, &r, box->groups, err));
    if (syscall(NR_RESTRICT_SELF, ruleset, 0) != 0)
        return err_errno(err, "landlock_restrict_self");
    return ST_OK;
}

/* ---- seccomp -------------------------------------------------------------------------------------------------------
 */

#define CALL(name) SCMP_SYS(name)

static const int calls_of_all[] = {
    /* bytes through what is open */
    CALL(read),
    CALL(write),
    CALL(readv),
    CALL(writev),
    CALL(pread64),
    CALL(pwrite64),
    CALL(recvfrom),
    CALL(recvmsg),
    CALL(sendto),
    CALL(sendmsg),
    CALL(close),
    CALL(shutdown),
    CALL(dup),
    CALL(lseek),
    CALL(fstat),
    CALL(fcntl),
    CALL(accept4),
    CALL(socketpair),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(getsockname),
    CALL(getpeername),
    CALL(pipe2),
    /* waiting */
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(poll),
    CALL(ppoll),
    CALL(eventfd2),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
    CALL(futex),
    CALL(nanosleep),
    CALL(clock_nanosleep),
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(gettimeofday),
    CALL(time),
    CALL(restart_syscall),
    CALL(sched_yield),
    /* memory */
    CALL(brk),
    CALL(mmap),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(membarrier),
    /* threads, signals, the end */
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(rseq),
    CALL(sched_getaffinity),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(sigaltstack),
    CALL(gettid),
    CALL(getpid),
    CALL(getppid),
    CALL(tgkill),
    CALL(exit),
    CALL(exit_group),
    /* facts */
    CALL(getrandom),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(uname),
    CALL(getrusage),
    CALL(sysinfo),
    CALL(prlimit64),
    CALL(getrlimit),
};

/* SQLite's, and those of sys/file.c. */
static const int calls_of_files[] = {
    CALL(setpriority), /* the search index is made at a low one */
    CALL(open),        CALL(openat),    CALL(stat),         CALL(lstat),     CALL(newfstatat), CALL(statx),
    CALL(access),      CALL(faccessat), CALL(faccessat2),   CALL(readlink),  CALL(readlinkat), CALL(getdents64),
    CALL(getcwd),      CALL(fsync),     CALL(fdatasync),    CALL(ftruncate), CALL(fallocate),  CALL(fchmod),
    CALL(umask),       CALL(mkdir),     CALL(mkdirat),      CALL(rmdir),     CALL(unlink),     CALL(unlinkat),
    CALL(rename),      CALL(renameat),  CALL(renameat2),    CALL(flock),     CALL(utimensat),  CALL(fadvise64),
    CALL(statfs),      CALL(fstatfs),   CALL(memfd_create), CALL(fchown),
};

static const int calls_of_network[] = {
    CALL(socket), CALL(connect), CALL(bind),     CALL(sendmmsg), CALL(recvmmsg),
    CALL(ioctl),  CALL(select),  CALL(pselect6), CALL(pipe),
};

/* What the sanitizers' run-time does beside: stack traces, its own maps. Only in builds for tests. */
static const int calls_of_sanitizers[] = {
    CALL(open),  CALL(openat),   CALL(readlink), CALL(newfstatat), CALL(stat),
    CALL(prctl), CALL(mprotect), CALL(ioctl),    CALL(getdents64), CALL(kill),
};

static const int calls_that_kill[] = {
    CALL(execve),
    CALL(execveat),
    CALL(mount),
    CALL(umount2),
    CALL(pivot_root),
    CALL(chroot),
    CALL(setns),
    CALL(unshare),
    CALL(bpf),
    CALL(init_module),
    CALL(finit_module),
    CALL(kexec_load),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(keyctl),
    CALL(add_key),
    CALL(request_key),
    CALL(ptrace),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(setuid),
    CALL(setgid),
    CALL(setresuid),
    CALL(setresgid),
    CALL(personality),
};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static int add_calls(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t count)
{
    int bad = 0;
    for (size_t i = 0; i < count; i++)
        if (calls[i] != __NR_SCMP_ERROR) {
            int rc = seccomp_rule_add(ctx, action, calls[i], 0);
            if (rc != 0 && rc != -EEXIST && rc != -EDOM) /* -EDOM: not a call of this architecture */
                bad = rc;
        }
    return bad;
}

/* Threads yes, processes no. clone3's flags are behind a pointer that a filter cannot read: ENOSYS sends libc to clone.
 */
static int add_threads(scmp_filter_ctx ctx)
{
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));
    return rc;
}

/* mprotect without PROT_EXEC: thread stacks' guards, malloc's arenas. Files of code may still be mapped (iconv's tables
 * are shared objects), as far as Landlock lets them be opened. */
static int add_mprotect(scmp_filter_ctx ctx)
{
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
}

static int build_filter(scmp_filter_ctx ctx, unsigned groups)
{
    int rc = add_calls(ctx, SCMP_ACT_ALLOW, calls_of_all, COUNT(calls_of_all));
    if (rc == 0 && groups & SANDBOX_FILES)
        rc = add_calls(ctx, SCMP_ACT_ALLOW, calls_of_files, COUNT(calls_of_files));
    if (rc == 0 && groups & SANDBOX_NETWORK)
        rc = add_calls(ctx, SCMP_ACT_ALLOW, calls_of_network, COUNT(calls_of_network));
    if (rc == 0 && IS_SANITIZED)
        rc = add_calls(ctx, SCMP_ACT_ALLOW, calls_of_sanitizers, COUNT(calls_of_sanitizers));
    if (rc == 0)
        rc = add_calls(ctx, SCMP_ACT_KILL_PROCESS, calls_that_kill, COUNT(calls_that_kill));
    if (rc == 0)
        rc = add_threads(ctx);
    if (rc == 0 && !IS_SANITIZED)
        rc = add_mprotect(ctx);
    return rc;
}

static enum status seccomp_enter(unsigned groups, struct err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!ctx)
        return err_set(err, ST_IO, "seccomp cannot be set up");
    int rc = build_filter(ctx, groups);
    if (rc == 0)
        (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree; older libraries cannot */
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    if (rc != 0) {
        errno = -rc;
        return err_errno(err, "seccomp");
    }
    return ST_OK;
}

enum status sandbox_enter(const struct sandbox *box, struct err *err)
{
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        return err_errno(err, "cannot turn core dumps off");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_errno(err, "no_new_privs");
    TRY(landlock_enter(box, err));
    return seccomp_enter(box->groups, err);
}

uint64_t open_files_raise(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 0;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}
