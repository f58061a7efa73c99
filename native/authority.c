// SPDX-License-Identifier: Apache-2.0
// authority: see authority.h. Whatever doesn't parse counts as absent.
#include "authority.h"
#include <string.h>
#include <strings.h>

static struct authority_text trim(struct authority_text value) {
    while (value.bytes > 0 && (value.text[0] == ' ' || value.text[0] == '\t')) {
        value.text++;
        value.bytes--;
    }
    while (value.bytes > 0 && (value.text[value.bytes - 1] == ' ' || value.text[value.bytes - 1] == '\t'))
        value.bytes--;
    return value;
}

static uint32_t port_of(const char *text, size_t bytes) {
    uint32_t port = 0;
    if (bytes == 0 || bytes > 5)
        return 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    return port <= 65535 ? port : 0;
}

bool authority_split(struct authority_text value, struct authority_text *host, uint32_t *port) {
    *port = 0;
    if (value.text == NULL)
        return false;
    value = trim(value);
    if (value.bytes > 0 && value.text[0] == '[') {
        const char *end = memchr(value.text, ']', value.bytes);
        if (end == NULL)
            return false;
        *host = (struct authority_text){value.text + 1, (size_t)(end - value.text) - 1};
        size_t rest = value.bytes - host->bytes - 2;
        if (rest > 1 && end[1] == ':')
            *port = port_of(end + 2, rest - 1);
        return host->bytes > 0;
    }
    const char *colon = memchr(value.text, ':', value.bytes);
    if (colon != NULL && memchr(colon + 1, ':', value.bytes - (size_t)(colon - value.text) - 1) != NULL)
        colon = NULL; // a bare IPv6 address
    *host = (struct authority_text){value.text, colon != NULL ? (size_t)(colon - value.text) : value.bytes};
    if (colon != NULL)
        *port = port_of(colon + 1, value.bytes - host->bytes - 1);
    return host->bytes > 0;
}

bool authority_first(struct authority_text header, struct authority_text *out) {
    if (header.text == NULL)
        return false;
    const char *comma = memchr(header.text, ',', header.bytes);
    if (comma != NULL)
        header.bytes = (size_t)(comma - header.text);
    *out = trim(header);
    return out->bytes > 0;
}

bool authority_forwarded(struct authority_text header, const char *parameter, struct authority_text *out) {
    size_t name_bytes = strlen(parameter);
    struct authority_text rest;
    if (!authority_first(header, &rest))
        return false;
    while (rest.bytes > 0) {
        const char *end = memchr(rest.text, ';', rest.bytes);
        size_t bytes = end != NULL ? (size_t)(end - rest.text) : rest.bytes;
        struct authority_text pair = trim((struct authority_text){rest.text, bytes});
        if (pair.bytes > name_bytes && pair.text[name_bytes] == '=' &&
            strncasecmp(pair.text, parameter, name_bytes) == 0) {
            *out = (struct authority_text){pair.text + name_bytes + 1, pair.bytes - name_bytes - 1};
            if (out->bytes >= 2 && out->text[0] == '"' && out->text[out->bytes - 1] == '"') {
                out->text++;
                out->bytes -= 2;
            }
            return out->bytes > 0;
        }
        rest.text += bytes + (end != NULL);
        rest.bytes -= bytes + (end != NULL);
    }
    return false;
}
