// SPDX-License-Identifier: Apache-2.0
// status: how a C function ended. Every function that can fail returns one, and the caller must look at it.
#ifndef PILLION_STATUS_H
#define PILLION_STATUS_H

enum status {
    STATUS_OK = 0,
    STATUS_FULL,        // no room now: drop and count
    STATUS_TOO_LARGE,   // can never fit
    STATUS_NO_MEMORY,   // malloc or fallocate refused
    STATUS_IO,          // a system call failed: errno says why
    STATUS_BAD_INPUT,   // foreign bytes that make no sense
    STATUS_UNSUPPORTED, // e.g. not a tmpfs, a newer layout version
    STATUS_BUSY,        // somebody else holds it
};

#define MUST_USE __attribute__((warn_unused_result))

#endif
