// SPDX-License-Identifier: Apache-2.0
// module: what the files of the CPython module share. Nothing below the module_*.c files knows the interpreter.
//
// Reading rule: a PyObject whose name begins with py_ is owned by the function, others are borrowed.
#ifndef PILLION_MODULE_H
#define PILLION_MODULE_H

#include "authority.h"
#include "compat.h"
#include "core.h"
#include "red.h"
#include "span.h"

enum family { FAMILY_HTTP = 1, FAMILY_DB = 2 }; // patch.py's FAMILIES

typedef struct SpanObject {
    PyObject_HEAD struct span span;
    struct SpanObject *entry_open; // the SERVER or CONSUMER span around it: itself (not owned), another (Owned) or NULL
    PyObject *baggage;             // Owned. The header's text, or NULL
    PyObject *previous;            // Owned. What was current before it
    const void *entered;           // the context it was made current in; only its address counts
    struct red_note *note;         // Owned. What its metric wants to know; NULL: it's in none, or `series` is known
    struct red_series *series;     // Borrowed. Where it counts if nothing is added; NULL: see `note`
    uint32_t family;               // of the hook that opened it, 0: none
    uint32_t generation;           // core_generation at the start
    bool ended;
    bool failed; // an exception has been recorded
    bool abroad; // left elsewhere than entered: once it has ended, `previous` counts where it stays behind
} SpanObject;

// The parent that came over the wire. trace_id all zero: only a baggage came.
typedef struct {
    PyObject_HEAD struct span_context context;
    PyObject *tracestate; // Owned. str or NULL; context.tracestate points into it
    PyObject *baggage;    // Owned. str or NULL
} RemoteObject;

// One call of a hooked function, as a hook's describe and conclude see it.
typedef struct {
    PyObject_HEAD PyObject *const *stack; // Borrowed while the call runs, then NULL
    Py_ssize_t count;                     // positional arguments
    PyObject *kwnames;                    // Borrowed, with `stack`
    PyObject *args;                       // Owned. Made when asked for
    PyObject *kwargs;                     // Owned. Made when asked for
    PyObject *span;                       // Owned or NULL
    PyObject *current;                    // Owned or NULL. What was current when the call came
    PyObject *state;                      // Owned or NULL: the hook's own
    PyObject *parent;                     // Owned or NULL: in place of `current`, as describe found it in a message
} CallObject;

// The declarations follow the files.
extern PyTypeObject Span_Type, Remote_Type, Call_Type, Wrapper_Type, StartResponse_Type, Body_Type, Queries_Type;

// module_text.c: Python values into span fields. None of these leaves an exception set.
struct span_text text_of(PyObject *string, PyObject **py_keep); // *py_keep: to be released after use
struct span_text text_static(const char *literal);              // interns a literal of ours
void text_set(struct span *span, PyObject *key, PyObject *value, bool last);
void text_set_all(struct span *span, PyObject *mapping, bool last);
void text_set_string(struct span *span, const char *key, const char *value, Py_ssize_t bytes);
PyObject *text_hex(const uint8_t *bytes, size_t count);
bool text_unhex(const char *hex, Py_ssize_t chars, uint8_t *out, size_t count);

// module_value.c: Python objects as values. None of these leaves an exception set.
#define VALUE_ITEMS 1024 // of a sequence; what is behind them is left out
struct value_items {
    struct span_value *values; // Owned
    uint32_t count;
    PyObject *py_items; // Owned. What the values point into,
    PyObject **py_keep; // Owned, with what it holds: and those that had to be made
    uint32_t keep_count;
};
// What needs no code of the application. False: nothing of that kind. *py_keep, NULL before: to be released after use.
bool value_simple(PyObject *object, struct span_value *out, PyObject **py_keep);
PyObject *value_plain(PyObject *object);                        // new: what value_simple takes. NULL: it has no text
bool value_sequence(PyObject *object, struct value_items *out); // false: it's none, or there's no memory
void value_release(struct value_items *items);

// module_exception.c: what our calls raised is forgotten; what was meant for the application (a signal handler raised
// it, or another thread) is only delayed.
void exception_clear(void);
bool exception_delay(PyObject *py_exception); // true: it was none of ours to forget, and is stolen
// records `exception` on the span: status, error.type, an event with the stack.
void exception_record(SpanObject *span, PyObject *exception, bool set_status);
PyObject *exception_type_name(PyTypeObject *type); // new: "module.QualName"; NULL: no memory, no exception

// module_span.c
SpanObject *span_object_begin(PyObject *parent, enum span_kind kind, struct span_text name, uint32_t scope_id,
                              uint64_t start_ns);
void span_object_end(SpanObject *span, uint64_t end_ns);
void span_object_enter(SpanObject *span);                 // it's current from now on
void span_object_exit(SpanObject *span, PyObject *error); // what was current is again; Py_None: no error. Ends it
static inline bool span_object_check(PyObject *object) {
    return object != NULL && Py_IS_TYPE(object, &Span_Type);
}
int module_span_init(PyObject *module);

// module_context.c
PyObject *context_get(void); // new reference or NULL, never an exception
void context_set(PyObject *span_or_null);
// Makes `span` current for a call that starts nothing which outlives it (a query, a request to elsewhere): for whoever
// asks on this thread and in this context, but not in copies of the context that are made meanwhile. Saves two changes
// of the context, which are most of a short span's cost. context_take_back undoes both this and context_set.
void context_lend(SpanObject *span);
void context_take_back(SpanObject *span, PyObject *previous); // previous is current again, if `span` still was
void context_enter(SpanObject *span);                         // it's current from now on, and it's known where
// It's current no longer: `previous` is again, here and wherever else it stays behind.
void context_leave(SpanObject *span, PyObject *previous);
// The baggage of `span` in this context: what was set here, else `own`. New reference or NULL.
PyObject *context_baggage(PyObject *span, PyObject *own);
void context_set_baggage(PyObject *span, PyObject *text); // here only: other tasks may have the same span
PyObject *context_baggage_pair(void);                     // what context_set_baggage left here: new reference or NULL
void context_set_baggage_pair(PyObject *pair_or_null);    // of another context
int module_context_init(void);
PyObject *span_begin_py(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *kwnames);
PyObject *span_current_py(PyObject *module, PyObject *unused);
PyObject *span_attach_py(PyObject *module, PyObject *span);
PyObject *span_detach_py(PyObject *module, PyObject *const *args, Py_ssize_t count);

// module_scope.c
int module_scope_init(PyObject *module);
PyObject *scope_span_py(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *kwnames);

// module_propagate.c
PyObject *propagate_from_environ(PyObject *environ); // new Remote or NULL, never an exception
PyObject *propagate_remote(PyObject *traceparent, PyObject *tracestate, PyObject *baggage); // the same, of str or NULL
PyObject *propagate_extract_environ_py(PyObject *module, PyObject *environ);
PyObject *propagate_extract_py(PyObject *module, PyObject *mapping);
PyObject *propagate_inject_py(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *propagate_inject_lines_py(PyObject *module, PyObject *const *args, Py_ssize_t count);
extern bool propagate_trace, propagate_baggage; // OTEL_PROPAGATORS

// module_runtime.c
PyObject *runtime_gc_callback_py(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *runtime_eventloop_lag_py(PyObject *module, PyObject *seconds);
PyObject *runtime_set_tick_py(PyObject *module, PyObject *callable);
void runtime_span_began(uint64_t start_ns);

// module_red.c: histograms of requests and calls, sampled or not. The functions on a span ask for one with a note.
enum red_metric red_metric_of(int kind, uint32_t family);
void red_object_begin(SpanObject *span, enum red_metric metric); // gives it a note, where metrics are on
// The same for a sampled one, if its series is known (not NULL).
bool red_object_begin_known(SpanObject *span, enum red_metric metric, struct red_series *series);
static inline bool red_object_is(const SpanObject *span) { // it will be counted
    return span->note != NULL || span->series != NULL;
}
void red_object_set(SpanObject *span, PyObject *key, PyObject *value);
void red_object_set_all(SpanObject *span, PyObject *attributes);
void red_object_error(SpanObject *span, PyObject *exception);
uint64_t red_object_end(SpanObject *span, uint64_t end_ns); // counts it; the end of the span, from the same look
static inline void span_object_set_all(SpanObject *span, PyObject *attributes) {
    text_set_all(&span->span, attributes, false);
    if (red_object_is(span))
        red_object_set_all(span, attributes);
}
// A call whose attributes one argument tells (`measured`: its index and name), and what is `known` of such texts.
bool red_is_inside(PyObject *current, uint32_t family); // in such a call of this family
struct red_series *red_known(PyObject *known, PyObject *measured, PyObject *const *args, Py_ssize_t count,
                             PyObject *kwnames);
void red_learn(PyObject *known, PyObject *measured, PyObject *const *args, Py_ssize_t count, PyObject *kwnames,
               const SpanObject *span);
PyObject *red_call(struct red_series *series, PyObject *current, uint32_t family, PyObject *original,
                   PyObject *const *args, size_t nargsf, PyObject *kwnames);
int module_red_init(void);

// module_sql.c
PyObject *sql_py(PyObject *module, PyObject *const *args, Py_ssize_t count);
int module_sql_init(PyObject *module);

// module_guard.c
PyObject *guard_watch_py(PyObject *module, PyObject *py_path);
void guard_tick(uint64_t now_mono_ns);

// module_rules.c
PyObject *rules_py(PyObject *module, PyObject *args);

// module_call.c
CallObject *call_new(PyObject *const *stack, Py_ssize_t count, PyObject *kwnames); // NULL: no exception
void call_release(CallObject *call);                                               // the stack is gone; NULL is fine
PyObject *call_argument(CallObject *call, Py_ssize_t index, PyObject *name);       // borrowed or NULL

// module_describe.c: the span of a description: a name, or a tuple of name and attributes. NULL with an exception.
SpanObject *describe_begin(PyObject *described, PyObject *parent, enum span_kind kind, uint32_t scope_id,
                           enum red_metric metric);
int module_describe_init(void);

// module_carry.c: calls a function that hands another one to a thread. The one at `index` (-1: none) takes the current
// span along; what the call itself starts begins without one, unless `index` is 0: then it is the thread's first.
PyObject *carry_call(PyObject *original, int index, PyObject *const *args, size_t nargsf, PyObject *kwnames);
PyObject *carry_entry_parent(PyObject *current); // borrowed: `current`, or NULL if it is what this thread began with
int module_carry_init(void);

// module_fork.c
void module_fork_init(void);

// module_wrap.c
struct hook_counts {
    uint64_t calls;
    uint64_t errors;
};
extern __thread int hook_busy; // > 0: we are inside a hook, so nothing is wrapped
// Around Python code of ours that runs while the application's does: it sees neither its calls nor its frames.
static inline PyThreadState *hook_enter(void) {
    hook_busy++;
    return compat_tracing_pause();
}
static inline void hook_leave(PyThreadState *thread) {
    compat_tracing_resume(thread);
    hook_busy--;
}
void hook_error(PyObject *where); // counts and reports the exception that is set, and clears it
int module_wrap_init(PyObject *module);

// module_request.c: the SERVER span of an HTTP request. Texts that are absent are {NULL, 0}.
struct request {
    struct authority_text method, scheme, version;
    // what follows is asked for where the span is recorded
    struct authority_text agent, forwarded, forwarded_host, forwarded_for, host; // headers
    struct authority_text server, peer;                                          // the socket's two ends
    uint32_t server_port, peer_port;                                             // 0: unknown
    PyObject *path, *query;                                                      // Borrowed: str, or NULL
};
struct authority_text request_text(PyObject *value); // of a str; of anything else nothing
SpanObject *request_begin(const struct request *request, PyObject *parent, uint32_t scope_id); // NULL: no memory
void request_describe(SpanObject *span, const struct request *request);
void request_status(SpanObject *span, int code);                 // of the response
void request_failed(SpanObject *span, int code);                 // by its status alone
void request_record_failure(SpanObject *span);                   // by the exception that is set
bool request_is_excluded(PyObject *excluded, PyObject *request); // what `excluded`, which may be NULL, says of it
extern PyObject *request_redact;                                 // Owned. callable(query: str) -> str, or NULL
extern bool request_capture_query;
void module_request_init(void); // after core_start

// module_wsgi_body.c: what the application and the server get in place of start_response and the body
PyObject *wsgi_start_response(PyObject *original, SpanObject *span);             // new or NULL with an exception
PyObject *wsgi_body(PyObject *result, PyObject *file_wrapper, SpanObject *span); // steals result; may be it
void wsgi_restore(SpanObject *span, PyObject *previous);                         // previous is current again
int module_wsgi_body_init(void);

// module_wsgi.c
PyObject *wsgi_call(PyObject *original, uint32_t scope_id, PyObject *const *args, size_t nargsf, PyObject *kwnames);
extern PyObject *wsgi_excluded; // Owned. callable(environ) -> bool, or NULL
int module_wsgi_init(void);     // after core_start

// module_asgi_send.c: what the application gets in place of send, and the server in place of the coroutine
PyObject *asgi_send(PyObject *original, SpanObject *span); // new or NULL with an exception
// What stands for the application's awaitable, or for a message's (no `send`). Steals `awaitable`; may be it.
PyObject *asgi_awaited(PyObject *awaitable, SpanObject *span, PyObject *send);
int module_asgi_send_init(void);

// module_asgi.c
PyObject *asgi_call(PyObject *original, uint32_t scope_id, PyObject *const *args, size_t nargsf, PyObject *kwnames);
extern PyObject *asgi_excluded; // Owned. callable(scope) -> bool, or NULL
int module_asgi_init(void);

#endif
