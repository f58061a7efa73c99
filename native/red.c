// SPDX-License-Identifier: Apache-2.0
// red: see red.h. Bounds: semantic conventions, "HTTP metrics" and "Database metrics". A series takes about 350 bytes
// from malloc and is looked up by the hash of its canonical key in a table that never moves (64 KB of zero pages,
// touched as series appear); 8,192 places for at most 6,000 keep the walks short.
#include "red.h"
#include <stdlib.h>
#include <string.h>

#define PLACES 8192u // a power of two

#define BIT(key) (1u << (key))
#define HTTP_KEYS (BIT(RED_METHOD) | BIT(RED_STATUS) | BIT(RED_VERSION) | BIT(RED_ERROR))
#define PEER_KEYS (BIT(RED_ADDRESS) | BIT(RED_PORT))
#define DB_KEYS                                                                                                        \
    (BIT(RED_SYSTEM) | BIT(RED_NAMESPACE) | BIT(RED_COLLECTION) | BIT(RED_OPERATION) | BIT(RED_SUMMARY) |              \
     BIT(RED_DB_STATUS) | BIT(RED_ERROR))

static const double http_bounds[] = {.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10};
static const double db_bounds[] = {.001, .005, .01, .05, .1, .5, 1, 5, 10};
#define BOUNDS(array) .bounds = (array), .bound_count = sizeof(array) / sizeof *(array)
_Static_assert(sizeof http_bounds / sizeof *http_bounds < RED_BUCKETS_MAX, "one bucket more than bounds");

static const struct red_instrument instruments[RED_METRICS] = {
    [RED_HTTP_SERVER] = {"http.server.request.duration", "Duration of HTTP server requests.", BOUNDS(http_bounds),
                         .keys = HTTP_KEYS | BIT(RED_SCHEME) | BIT(RED_ROUTE)},
    [RED_HTTP_CLIENT] = {"http.client.request.duration", "Duration of HTTP client requests.", BOUNDS(http_bounds),
                         .keys = HTTP_KEYS | PEER_KEYS},
    [RED_DB_CLIENT] = {"db.client.operation.duration", "Duration of database client operations.", BOUNDS(db_bounds),
                       .keys = DB_KEYS | PEER_KEYS},
};
static const char *const key_names[RED_KEYS] = {
    "http.request.method",
    "url.scheme",
    "http.response.status_code",
    "http.route",
    "network.protocol.version",
    "db.system.name",
    "db.namespace",
    "db.collection.name",
    "db.operation.name",
    "db.query.summary",
    "db.response.status_code",
    "server.address",
    "server.port",
    "error.type",
};

static _Atomic(struct red_series *) table[PLACES];
static _Atomic(struct red_series *) latest;
static _Atomic uint32_t sets[RED_METRICS]; // without the overflow
static struct red_series overflows[RED_METRICS] = {
    [RED_HTTP_SERVER] = {.metric = RED_HTTP_SERVER},
    [RED_HTTP_CLIENT] = {.metric = RED_HTTP_CLIENT},
    [RED_DB_CLIENT] = {.metric = RED_DB_CLIENT},
};

void red_note_begin(struct red_note *note, enum red_metric metric, uint64_t begin_ns) {
    note->begin_ns = begin_ns;
    note->present = note->is_text = note->used = 0;
    note->metric = (uint8_t)metric;
}

static bool has_key(const struct red_note *note, enum red_key key) {
    return (instruments[note->metric].keys & BIT(key)) != 0;
}

void red_note_text(struct red_note *note, enum red_key key, const char *text, size_t bytes) {
    if (!has_key(note, key))
        return;
    bool over = (note->present & note->is_text & BIT(key)) != 0;
    uint16_t at = over ? note->values[key].text.at : note->used;
    size_t room = over ? note->values[key].text.bytes : 0;
    if (room < bytes) { // not where it was
        at = note->used;
        room = RED_NOTE_BYTES - note->used;
    }
    size_t kept = bytes < RED_TEXT_LIMIT ? bytes : RED_TEXT_LIMIT;
    kept = kept < room ? kept : room;
    while (kept > 0 && kept < bytes && ((uint8_t)text[kept] & 0xc0) == 0x80)
        kept--;
    if (kept != 0)
        memcpy(note->bytes + at, text, kept);
    if (at == note->used)
        note->used = (uint16_t)(at + kept);
    note->values[key].text.at = at;
    note->values[key].text.bytes = (uint16_t)kept;
    note->present |= BIT(key);
    note->is_text |= BIT(key);
}

void red_note_integer(struct red_note *note, enum red_key key, int64_t integer) {
    if (!has_key(note, key))
        return;
    note->values[key].integer = integer;
    note->present |= BIT(key);
    note->is_text &= (uint16_t)~BIT(key);
}

// The canonical form: metric, then of each key its number, 0 and 8 bytes, or 1, a length and the text.
static uint32_t key_write(const struct red_note *note, uint8_t *out) {
    uint32_t used = 0;
    out[used++] = note->metric;
    for (unsigned key = 0; key < RED_KEYS; key++) {
        if ((note->present & BIT(key)) == 0)
            continue;
        bool is_text = (note->is_text & BIT(key)) != 0;
        uint32_t bytes = is_text ? note->values[key].text.bytes : 8;
        out[used++] = (uint8_t)(key << 1 | is_text);
        out[used++] = (uint8_t)bytes; // <= RED_TEXT_LIMIT
        memcpy(out + used, is_text ? (const void *)(note->bytes + note->values[key].text.at) : &note->values[key],
               bytes);
        used += bytes;
    }
    return used;
}

void red_note_of(const struct red_series *series, struct red_note *note) {
    red_note_begin(note, (enum red_metric)series->metric, 0);
    for (uint32_t at = 1; at < series->key_bytes;) {
        enum red_key key = (enum red_key)(series->key[at] >> 1);
        bool is_text = series->key[at] & 1;
        uint32_t bytes = series->key[at + 1];
        int64_t integer;
        if (is_text) {
            red_note_text(note, key, (const char *)series->key + at + 2, bytes);
        } else {
            memcpy(&integer, series->key + at + 2, 8);
            red_note_integer(note, key, integer);
        }
        at += 2 + bytes;
    }
}

static uint64_t hash_of(const uint8_t *bytes, uint32_t count) {
    uint64_t hash = count, word;
    for (; count >= 8; bytes += 8, count -= 8) {
        memcpy(&word, bytes, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    word = 0;
    memcpy(&word, bytes, count);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

static bool is_same(const struct red_series *series, uint64_t hash, const uint8_t *key, uint32_t bytes) {
    return series->hash == hash && series->key_bytes == bytes && memcmp(series->key, key, bytes) == 0;
}

// A new series, or NULL where the metric has enough of them or there's no memory.
static struct red_series *series_make(uint32_t metric, uint64_t hash, const uint8_t *key, uint32_t bytes) {
    uint32_t count = atomic_load_explicit(&sets[metric], memory_order_relaxed);
    do {
        if (count >= RED_SETS_LIMIT - 1)
            return NULL;
    } while (!atomic_compare_exchange_weak(&sets[metric], &count, count + 1));
    struct red_series *series = calloc(1, sizeof *series + bytes);
    if (series == NULL) {
        atomic_fetch_sub(&sets[metric], 1);
        return NULL;
    }
    series->hash = hash;
    series->metric = metric;
    series->key_bytes = bytes;
    memcpy(series->key, key, bytes);
    return series;
}

static void series_list(struct red_series *series) {
    struct red_series *before = atomic_load_explicit(&latest, memory_order_relaxed);
    do
        series->next = before;
    while (
        !atomic_compare_exchange_weak_explicit(&latest, &before, series, memory_order_release, memory_order_relaxed));
}

struct red_series *red_series(const struct red_note *note) {
    uint8_t key[RED_KEY_BYTES];
    uint32_t bytes = key_write(note, key);
    uint64_t hash = hash_of(key, bytes);
    struct red_series *made = NULL;
    for (uint32_t tried = 0; tried < PLACES; tried++) {
        _Atomic(struct red_series *) *place = &table[(hash + tried) & (PLACES - 1)];
        struct red_series *found = atomic_load_explicit(place, memory_order_acquire);
        if (found == NULL) {
            if (made == NULL && (made = series_make(note->metric, hash, key, bytes)) == NULL)
                break;
            if (atomic_compare_exchange_strong_explicit(place, &found, made, memory_order_acq_rel,
                                                        memory_order_acquire)) {
                series_list(made);
                return made;
            }
        }
        if (is_same(found, hash, key, bytes)) { // also: somebody was faster
            if (made != NULL)
                atomic_fetch_sub(&sets[note->metric], 1);
            free(made);
            return found;
        }
    }
    if (made != NULL)
        atomic_fetch_sub(&sets[note->metric], 1);
    free(made);
    return &overflows[note->metric];
}

void red_record(struct red_series *series, uint64_t duration_ns) {
    const struct red_instrument *instrument = &instruments[series->metric];
    double seconds = (double)duration_ns / 1e9;
    uint32_t bucket = 0;
    while (bucket < instrument->bound_count && seconds > instrument->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&series->sum_ns, duration_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&series->buckets[bucket], 1, memory_order_relaxed);
}

const struct red_instrument *red_instrument(enum red_metric metric) {
    return &instruments[metric];
}

const char *red_key_name(enum red_key key) {
    return key_names[key];
}

const struct red_series *red_latest(void) {
    return atomic_load_explicit(&latest, memory_order_acquire);
}

const struct red_series *red_overflow(enum red_metric metric) {
    return &overflows[metric];
}

uint64_t red_count(const struct red_series *series) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < RED_BUCKETS_MAX; i++)
        count += atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
    return count;
}

size_t red_points(void) {
    size_t points = 0;
    for (const struct red_series *series = red_latest(); series != NULL; series = series->next)
        points += red_count(series) != 0;
    for (unsigned metric = RED_NONE + 1; metric < RED_METRICS; metric++)
        points += red_count(&overflows[metric]) != 0;
    return points;
}

static void forget(struct red_series *series) {
    atomic_store_explicit(&series->sum_ns, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < RED_BUCKETS_MAX; i++)
        atomic_store_explicit(&series->buckets[i], 0, memory_order_relaxed);
}

// Touches only what has counted: this runs in the child of every fork.
void red_reset(void) {
    for (struct red_series *series = atomic_load(&latest); series != NULL; series = series->next)
        if (red_count(series) != 0)
            forget(series);
    for (unsigned metric = RED_NONE + 1; metric < RED_METRICS; metric++)
        if (red_count(&overflows[metric]) != 0)
            forget(&overflows[metric]);
}
