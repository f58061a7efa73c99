// SPDX-License-Identifier: Apache-2.0
// red: rate, errors and duration of requests and of calls to servers: histograms that count every one, sampled or not.
//
// A note collects the attributes that a metric has, and no others, while its operation runs; a series is one set of
// them with its histogram. Series are made by the application's threads without a lock (a pointer is put into a table
// by compare-and-swap), are never removed, and counted with relaxed atomics; the sender's thread reads them. At most
// RED_SETS_LIMIT a metric: what comes beyond is counted in one series with otel.metric.overflow=true. A fork's child
// calls red_reset: it keeps the series and counts from zero.
#ifndef PILLION_RED_H
#define PILLION_RED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum red_metric {
    RED_NONE,
    RED_HTTP_SERVER, // http.server.request.duration
    RED_HTTP_CLIENT, // http.client.request.duration
    RED_DB_CLIENT,   // db.client.operation.duration
    RED_METRICS
};

enum red_key {
    RED_METHOD,     // http.request.method
    RED_SCHEME,     // url.scheme
    RED_STATUS,     // http.response.status_code
    RED_ROUTE,      // http.route
    RED_VERSION,    // network.protocol.version
    RED_SYSTEM,     // db.system.name
    RED_NAMESPACE,  // db.namespace
    RED_COLLECTION, // db.collection.name
    RED_OPERATION,  // db.operation.name
    RED_SUMMARY,    // db.query.summary
    RED_DB_STATUS,  // db.response.status_code
    RED_ADDRESS,    // server.address
    RED_PORT,       // server.port
    RED_ERROR,      // error.type
    RED_KEYS
};

#define RED_SETS_LIMIT 2000u // attribute sets a metric, the overflow's among them
#define RED_TEXT_LIMIT 255u  // bytes of a text; longer ones are cut between characters
#define RED_NOTE_BYTES 2048u
#define RED_BUCKETS_MAX 16u
#define RED_KEY_BYTES (2u + RED_KEYS * 12u + RED_NOTE_BYTES) // of a series, at most

// The attributes of one operation. Owned by whoever runs it; no memory behind it.
struct red_note {
    uint64_t begin_ns; // monotonic
    uint16_t present;  // a bit for each enum red_key
    uint16_t is_text;  // the same
    uint16_t used;     // of `bytes`
    uint8_t metric;    // enum red_metric
    union {
        int64_t integer;
        struct {
            uint16_t at;
            uint16_t bytes;
        } text;
    } values[RED_KEYS];
    char bytes[RED_NOTE_BYTES];
};

// One attribute set. `key` is its canonical form: what red_note_of reads and equal sets have in common.
struct red_series {
    struct red_series *next; // Borrowed. The one made before it
    uint64_t hash;           // of `key`
    uint32_t metric;         // enum red_metric
    uint32_t key_bytes;
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t buckets[RED_BUCKETS_MAX];
    uint8_t key[]; // empty: the overflow
};

void red_note_begin(struct red_note *note, enum red_metric metric, uint64_t begin_ns);
// Sets or replaces. Keys that the metric doesn't have are passed over.
void red_note_text(struct red_note *note, enum red_key key, const char *text, size_t bytes);
void red_note_integer(struct red_note *note, enum red_key key, int64_t integer);
void red_note_of(const struct red_series *series, struct red_note *note); // the note that it was made from

struct red_series *red_series(const struct red_note *note); // never NULL, valid for ever
void red_record(struct red_series *series, uint64_t duration_ns);

// What the encoder asks.
struct red_instrument {
    const char *name;
    const char *description;
    const double *bounds; // seconds
    uint32_t bound_count;
    uint16_t keys; // a bit for each enum red_key
};
const struct red_instrument *red_instrument(enum red_metric metric);
const char *red_key_name(enum red_key key);
const struct red_series *red_latest(void);                     // the head of the list of all series but the overflows
const struct red_series *red_overflow(enum red_metric metric); // may have counted nothing
uint64_t red_count(const struct red_series *series);           // measurements so far
size_t red_points(void);                                       // series that have counted something
void red_reset(void);

#endif
