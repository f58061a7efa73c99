// SPDX-License-Identifier: Apache-2.0
// net: sockets and the sender's bell. See the header.
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PORT "4317"

static enum status parse_path(struct net_target *out, const char *path) {
    struct net_address *address = &out->addresses.list[0];
    if (strncmp(path, "//", 2) == 0)
        path += 2;
    if (*path == '\0')
        return STATUS_BAD_INPUT;
    if (strlen(path) >= sizeof address->path.sun_path)
        return STATUS_TOO_LARGE;
    address->path.sun_family = AF_UNIX;
    memcpy(address->path.sun_path, path, strlen(path) + 1);
    address->bytes = sizeof address->path;
    out->addresses.count = 1;
    out->is_path = out->fixed = true;
    snprintf(out->authority, sizeof out->authority, "localhost");
    return STATUS_OK;
}

// Splits "host:port", "[v6]:port", "host". `text` ends at `bytes`.
static enum status parse_host(struct net_target *out, const char *text, size_t bytes) {
    const char *end = text + bytes, *host = text, *host_end = NULL, *port = NULL;
    if (*host == '[') {
        host++;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (!host_end || (host_end + 1 < end && host_end[1] != ':'))
            return STATUS_BAD_INPUT;
        port = host_end + 1 < end ? host_end + 2 : NULL;
    } else {
        host_end = memchr(host, ':', bytes);
        port = host_end ? host_end + 1 : NULL;
        host_end = host_end ? host_end : end;
    }
    size_t host_bytes = (size_t)(host_end - host), port_bytes = port ? (size_t)(end - port) : 0;
    if (host_bytes == 0 || host_bytes >= sizeof out->host || (port && (port_bytes == 0 || port_bytes > 5)))
        return STATUS_BAD_INPUT;
    for (size_t i = 0; i < host_bytes; i++) {
        if ((unsigned char)host[i] <= ' ' || (unsigned char)host[i] >= 0x7f || strchr("/@?#[]", host[i]))
            return STATUS_BAD_INPUT;
    }
    for (size_t i = 0; i < port_bytes; i++) {
        if (port[i] < '0' || port[i] > '9')
            return STATUS_BAD_INPUT;
    }
    memcpy(out->host, host, host_bytes);
    snprintf(out->port, sizeof out->port, "%.*s", port ? (int)port_bytes : 4, port ? port : DEFAULT_PORT);
    long number = strtol(out->port, NULL, 10);
    if (number < 1 || number > 65535)
        return STATUS_BAD_INPUT;
    snprintf(out->authority, sizeof out->authority, strchr(out->host, ':') ? "[%s]:%s" : "%s:%s", out->host, out->port);
    return STATUS_OK;
}

static enum status resolve(const char *host, const char *port, int flags, struct net_addresses *out) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV}, *owned = NULL;
    out->count = 0;
    if (getaddrinfo(host, port, &hints, &owned) != 0)
        return STATUS_IO;
    for (struct addrinfo *info = owned; info && out->count < NET_ADDRESSES; info = info->ai_next) {
        struct net_address *address = &out->list[out->count];
        if (info->ai_addrlen > sizeof address->v6 || (info->ai_family != AF_INET && info->ai_family != AF_INET6))
            continue;
        memcpy(&address->any, info->ai_addr, info->ai_addrlen);
        address->bytes = info->ai_addrlen;
        out->count++;
    }
    freeaddrinfo(owned);
    return out->count ? STATUS_OK : STATUS_IO;
}

// "localhost" is the loopback by RFC 6761; no name service need be loaded into the application for it.
static void resolve_localhost(struct net_target *out) {
    unsigned port = (unsigned)strtol(out->port, NULL, 10);
    struct net_address *v4 = &out->addresses.list[0], *v6 = &out->addresses.list[1];
    v4->v4.sin_family = AF_INET;
    v4->v4.sin_port = htons((uint16_t)port);
    v4->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v4->bytes = sizeof v4->v4;
    v6->v6.sin6_family = AF_INET6;
    v6->v6.sin6_port = htons((uint16_t)port);
    v6->v6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
    v6->bytes = sizeof v6->v6;
    out->addresses.count = 2;
    out->fixed = true;
}

enum status net_parse(struct net_target *out, const char *text) {
    enum status status = STATUS_BAD_INPUT;
    memset(out, 0, sizeof *out);
    if (strncasecmp(text, "https:", 6) == 0 || strncasecmp(text, "grpcs:", 6) == 0)
        return STATUS_UNSUPPORTED;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_path(out, text + 5);
    if (strncasecmp(text, "http://", 7) == 0)
        text += 7;
    if (strstr(text, "://"))
        return STATUS_BAD_INPUT;
    status = parse_host(out, text, strcspn(text, "/"));
    if (status != STATUS_OK)
        return status;
    if (strcasecmp(out->host, "localhost") == 0)
        resolve_localhost(out);
    else if (resolve(out->host, out->port, AI_NUMERICHOST, &out->addresses) == STATUS_OK)
        out->fixed = true;
    return STATUS_OK;
}

enum status net_lookup(const struct net_target *target, struct net_addresses *out) {
    return resolve(target->host, target->port, 0, out);
}

// Takes the descriptor out of the standard three's reach and remembers which file it is. -1 is passed on.
static enum status adopt(int fd, struct net_fd *out) {
    struct stat stat;
    *out = NET_NONE;
    if (fd >= 0 && fd < 3) {
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        close(fd);
        fd = moved;
    }
    if (fd < 0)
        return STATUS_IO;
    if (fstat(fd, &stat) != 0) {
        close(fd);
        return STATUS_IO;
    }
    *out = (struct net_fd){.fd = fd, .dev = stat.st_dev, .ino = stat.st_ino};
    return STATUS_OK;
}

bool net_is_ours(const struct net_fd *fd) {
    struct stat stat;
    return fd->fd >= 0 && fstat(fd->fd, &stat) == 0 && stat.st_dev == fd->dev && stat.st_ino == fd->ino;
}

enum status net_connect(const struct net_address *address, struct net_fd *out) {
    const int yes = 1;
    int family = address->any.sa_family;
    enum status status = adopt(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), out);
    if (status != STATUS_OK)
        return status;
    if (family != AF_UNIX)
        setsockopt(out->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(out->fd, &address->any, address->bytes) == 0)
        return STATUS_OK;
    if (errno == EINPROGRESS)
        return STATUS_BUSY;
    int error = errno; // EAGAIN: the backlog of a unix socket is full, which is a refusal too
    net_close(out);
    errno = error;
    return STATUS_IO;
}

enum status net_connected(const struct net_fd *fd) {
    int error = 0;
    socklen_t bytes = sizeof error;
    if (!net_is_ours(fd))
        error = EBADF;
    else if (getsockopt(fd->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        error = errno;
    errno = error;
    return error ? STATUS_IO : STATUS_OK;
}

static ssize_t moved(ssize_t count) {
    if (count >= 0)
        return count;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

ssize_t net_send(const struct net_fd *fd, const uint8_t *bytes, size_t count) {
    if (!net_is_ours(fd)) {
        errno = EBADF;
        return -1;
    }
    return moved(send(fd->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT));
}

ssize_t net_receive(const struct net_fd *fd, uint8_t *bytes, size_t capacity) {
    if (!net_is_ours(fd)) {
        errno = EBADF;
        return -1;
    }
    ssize_t count = recv(fd->fd, bytes, capacity, MSG_DONTWAIT);
    if (count == 0) {
        errno = 0;
        return -1;
    }
    return moved(count);
}

void net_close(struct net_fd *fd) {
    if (net_is_ours(fd))
        close(fd->fd);
    *fd = NET_NONE;
}

enum status net_bell_open(struct net_fd *out) {
    return adopt(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), out);
}

// All eventfds are one inode: should another one of the application's have taken the number, it is woken once for
// nothing; a file or a socket can't be hit.
void net_bell_ring(const struct net_fd *bell) {
    const uint64_t one = 1;
    if (net_is_ours(bell) && write(bell->fd, &one, sizeof one) < 0)
        return; // full: it rings already
}

void net_bell_hush(const struct net_fd *bell) {
    uint64_t rings = 0;
    if (net_is_ours(bell) && read(bell->fd, &rings, sizeof rings) < 0)
        return; // empty
}
