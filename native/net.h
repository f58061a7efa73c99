// SPDX-License-Identifier: Apache-2.0
// net: the one file that opens a socket. Targets, non-blocking connections, and the sender's bell (an eventfd).
//
// The application owns the process: it may close or replace any descriptor behind our back (daemons do). So each one is
// remembered together with the identity of its file and checked before use: pillion must never write into a file of the
// application's. Descriptors are CLOEXEC and never 0, 1 or 2. Nothing here blocks but net_lookup.
#ifndef PILLION_NET_H
#define PILLION_NET_H

#include "status.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define NET_ADDRESSES 4

struct net_address {
    socklen_t bytes;
    union {
        struct sockaddr any;
        struct sockaddr_un path;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

struct net_addresses {
    unsigned count;
    struct net_address list[NET_ADDRESSES];
};

struct net_target {
    bool is_path;        // unix socket
    bool fixed;          // `addresses` are known without a lookup
    char host[256];      // of TCP, without brackets
    char port[6];        // of TCP
    char authority[272]; // for HTTP/2's :authority
    struct net_addresses addresses;
};

struct net_fd {
    int fd; // -1: none
    dev_t dev;
    ino_t ino;
};
#define NET_NONE ((struct net_fd){.fd = -1})

// "unix:/path", "unix:///path", "host:port", "[v6]:port", "http://host[:port][/]". STATUS_UNSUPPORTED: https;
// STATUS_TOO_LARGE: the path of the socket does not fit; STATUS_BAD_INPUT.
MUST_USE enum status net_parse(struct net_target *out, const char *text);

// Asks the system's resolver; may block for seconds. STATUS_IO: no such host.
MUST_USE enum status net_lookup(const struct net_target *target, struct net_addresses *out);

// Begins to connect. STATUS_OK: connected; STATUS_BUSY: wait for POLLOUT, then net_connected; STATUS_IO: refused
// (errno).
MUST_USE enum status net_connect(const struct net_address *address, struct net_fd *out);
MUST_USE enum status net_connected(const struct net_fd *fd);

bool net_is_ours(const struct net_fd *fd);
// Bytes moved; 0: not now; -1: closed or broken (errno; 0: the peer closed).
ssize_t net_send(const struct net_fd *fd, const uint8_t *bytes, size_t count);
ssize_t net_receive(const struct net_fd *fd, uint8_t *bytes, size_t capacity);
void net_close(struct net_fd *fd);

// A bell wakes the thread out of poll. Ringing twice is ringing once.
MUST_USE enum status net_bell_open(struct net_fd *out);
void net_bell_ring(const struct net_fd *bell);
void net_bell_hush(const struct net_fd *bell);

#endif
