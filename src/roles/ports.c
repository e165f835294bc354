/* ports.c - see ports.h. */
#include "roles/ports.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/span.h"
#include "base/banned.h"

enum { BACKLOG = 4096, ANSWER_MS = 1000 };

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } u;
    socklen_t len;
};

static enum status address_of(const struct listen_address *l, struct address *a, struct err *err)
{
    *a = (struct address){0};
    if (l->unix_path) {
        size_t len = strlen(l->unix_path);
        if (len >= sizeof a->u.local.sun_path)
            return err_set(err, ST_LIMIT, "%s is too long for a socket", l->unix_path);
        a->u.local.sun_family = AF_UNIX;
        memcpy(a->u.local.sun_path, l->unix_path, len + 1);
        a->len = sizeof a->u.local;
    } else if (inet_pton(AF_INET, l->host, &a->u.v4.sin_addr) == 1) {
        a->u.v4.sin_family = AF_INET;
        a->u.v4.sin_port = htons(l->port);
        a->len = sizeof a->u.v4;
    } else if (inet_pton(AF_INET6, l->host, &a->u.v6.sin6_addr) == 1) {
        a->u.v6.sin6_family = AF_INET6;
        a->u.v6.sin6_port = htons(l->port);
        a->len = sizeof a->u.v6;
    } else {
        return err_set(err, ST_SYNTAX, "%s is not an address", l->host);
    }
    return ST_OK;
}

static enum status bind_and_listen(int fd, const struct listen_address *l, const struct address *a, struct err *err)
{
    int one = 1;
    if (a->u.any.sa_family != AF_UNIX)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a->u.any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one); /* "[::]:25" beside "0.0.0.0:25" */
    if (bind(fd, &a->u.any, a->len) != 0)
        return err_errno(err, "cannot bind %s for %s", l->text, service_names[l->service]);
    /* Who may send by `local` is asked of the kernel for each connection; everybody may ask. */
    if (l->unix_path && chmod(l->unix_path, l->service == SERVICE_LOCAL ? 0666 : 0660) != 0)
        return err_errno(err, "cannot set the mode of %s", l->unix_path);
    if (listen(fd, BACKLOG) != 0)
        return err_errno(err, "cannot listen on %s for %s", l->text, service_names[l->service]);
    return ST_OK;
}

enum status port_open(const struct listen_address *l, int *fd, struct err *err)
{
    struct address a;
    TRY(address_of(l, &a, err));
    AUTO_FD int made = socket(a.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return err_errno(err, "cannot make a socket for %s (%s)", l->text, service_names[l->service]);
    if (l->unix_path && !port_answers(l))
        port_remove(l); /* left behind by a server that was killed */
    TRY(bind_and_listen(made, l, &a, err));
    *fd = made;
    made = -1;
    return ST_OK;
}

void port_remove(const struct listen_address *l)
{
    struct stat st;
    if (l->unix_path && lstat(l->unix_path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(l->unix_path);
}

bool port_answers(const struct listen_address *l)
{
    struct address a;
    struct err ignored;
    if (address_of(l, &a, &ignored) != ST_OK)
        return false;
    AUTO_FD int fd = socket(a.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    if (connect(fd, &a.u.any, a.len) == 0)
        return true;
    if (errno != EINPROGRESS)
        return false;
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int why = 0;
    socklen_t size = sizeof why;
    return poll(&p, 1, ANSWER_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) == 0 && why == 0;
}
