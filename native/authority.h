// SPDX-License-Identifier: Apache-2.0
// authority: who was asked and who asked, out of Host, Forwarded (RFC 7239) and X-Forwarded-* header values.
//
// Pure functions over foreign bytes: no allocation, time linear in the input; results point into the input.
#ifndef PILLION_AUTHORITY_H
#define PILLION_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authority_text {
    const char *text; // Borrowed; NULL: absent
    size_t bytes;
};

// "host", "host:port", "[v6]:port": host without brackets, port 0 where it's absent or no port. False: no host.
bool authority_split(struct authority_text value, struct authority_text *host, uint32_t *port);
// The first element's parameter ("host", "for", "proto") of a Forwarded header, quotes taken off.
bool authority_forwarded(struct authority_text header, const char *parameter, struct authority_text *out);
// The first of a comma list, blanks taken off.
bool authority_first(struct authority_text header, struct authority_text *out);

#endif
