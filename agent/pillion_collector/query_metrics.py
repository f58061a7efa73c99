# SPDX-License-Identifier: Apache-2.0
"""What /metrics shows: the collector's own counters, the services' last five minutes, each process's last look.

Self metrics mirror the names that operators know from the OpenTelemetry Collector; names of the conventions are
translated as OpenTelemetry's compatibility rules say (unit in the name, _total for what only rises).
"""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING, Any

from pillion_collector import VERSION, query_services
from pillion_collector.processes_known import Process
from pillion_collector.processes_read import METRICS, SUM, Metric
from pillion_collector.prometheus import Family
from pillion_collector.query_params import Window

if TYPE_CHECKING:
    from pillion_collector.api import Collector

RECENT_NS = 5 * 60 * 10**9
_ITEMS = {"traces": "spans", "metrics": "metric_points", "logs": "log_records"}
_WORDS = {"s": "_seconds", "By": "_bytes", "1": "_ratio"}


def families(collector: Collector) -> list[Family]:
    """Everything, in a stable order."""
    collector.processes.read_rings()
    known = collector.processes.known()
    return [*_receiver(collector), *_own(collector), *_services(collector), *_ledgers(known), *_processes(known)]


def _receiver(collector: Collector) -> list[Family]:
    receiver = collector.receiver
    found = []
    for kind, items in _ITEMS.items():
        what = items.replace("_", " ")
        name = f"pillion_receiver_accepted_{items}_total"
        found.append(Family(name, "counter", f"{what} stored.").add(receiver.accepted[kind]))
        name = f"pillion_receiver_rejected_{items}_total"
        found.append(
            Family(name, "counter", f"{what} of stored requests that were not taken.").add(receiver.rejected[kind])
        )
    refused = Family("pillion_receiver_refused_requests_total", "counter", "Requests refused, by reason.")
    for (kind, reason), number in sorted(receiver.refused.items()):
        refused.add(number, kind=kind, reason=reason)
    received = Family("pillion_receiver_bytes_total", "counter", "Bytes of stored requests, unpacked.")
    named = Family("pillion_receiver_malformed_batch_names_total", "counter", "Names of batches that make no sense.")
    flight = Family(
        "pillion_receiver_in_flight_requests", "gauge", "Requests between their first byte and their answer."
    )
    return [
        *found,
        refused,
        received.add(receiver.bytes),
        named.add(receiver.bad_batches),
        flight.add(receiver.in_flight),
    ]


def _own(collector: Collector) -> list[Family]:
    store = collector.store.stats()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm", "rb") as statm:
        rss = int(statm.read().split()[1]) * resource.getpagesize()
    uptime = (time.time_ns() - collector.started_ns) / 1e9
    troubles = Family("pillion_process_troubles_total", "counter", "What could not be read of the node's processes.")
    for reason, number in sorted(collector.processes.troubles.items()):
        troubles.add(number, reason=reason)
    return [
        Family("pillion_build_info", "gauge", "Version of the collector.").add(1, version=VERSION),
        Family("pillion_process_uptime_seconds", "gauge", "Since the collector started.").add(round(uptime, 3)),
        Family("pillion_process_cpu_seconds_total", "counter", "CPU the collector used.").add(
            round(usage.ru_utime + usage.ru_stime, 3)
        ),
        Family("pillion_process_memory_rss_bytes", "gauge", "Resident memory of the collector.").add(rss),
        *_store(store),
        Family("pillion_live_listeners", "gauge", "Browsers that follow live.").add(collector.live.listeners),
        troubles,
        *_adopted(collector),
    ]


def _adopted(collector: Collector) -> list[Family]:
    """Rings of processes that are gone."""
    adopter = collector.adopter
    counts = dict(adopter.counts)
    adopted = Family("pillion_adopter_rings_total", "counter", "Rings of ended processes that were read to their end.")
    crashes = Family(
        "pillion_adopter_crashes_total", "counter", "Processes that ended by a signal, an error or at work."
    )
    waiting = Family("pillion_adopter_waiting_rings", "gauge", "Rings of ended processes that are not read yet.")
    troubles = Family("pillion_adopter_troubles_total", "counter", "What kept a ring from being read, by reason.")
    for reason in sorted(counts.keys() - {"adopted", "crashes", "waiting"}):
        troubles.add(counts[reason], reason=reason)
    lost = Family("pillion_adopter_lost_spans_total", "counter", "Spans that ended processes had lost, by reason.")
    for reason, number in sorted(adopter.lost.items()):
        lost.add(number, reason=reason)
    return [
        adopted.add(counts.get("adopted", 0)),
        crashes.add(counts.get("crashes", 0)),
        waiting.add(counts.get("waiting", 0)),
        troubles,
        lost,
    ]


def _store(stats: dict[str, Any]) -> list[Family]:
    """How the store is, and what it has done."""
    found = [
        Family("pillion_store_bytes", "gauge", "Size of the store on disk.").add(stats.get("bytes")),
        Family("pillion_store_partitions", "gauge", "Files of the store.").add(stats.get("partitions")),
        Family("pillion_store_commits_total", "counter", "Commits to disk.").add(stats.get("commits")),
        Family("pillion_store_duplicate_batches_total", "counter", "Batches that came again, and were not stored.").add(
            stats.get("duplicates")
        ),
        Family("pillion_store_dropped_partitions_total", "counter", "Files that retention removed.").add(
            stats.get("dropped_partitions")
        ),
        Family("pillion_store_dropped_bytes_total", "counter", "Bytes that retention removed.").add(
            stats.get("dropped_bytes")
        ),
    ]
    for name, value in stats.get("queue", {}).items():
        found.append(Family(f"pillion_store_queue_{name}", "gauge", f"{name} that wait to be committed.").add(value))
    trouble = Family("pillion_store_trouble", "gauge", "1 while the store cannot take data, as /healthz explains.")
    return [*found, trouble.add(1 if stats.get("trouble") else 0)]


def _ledgers(known: list[Process]) -> list[Family]:
    """What the processes themselves count: every loss has a reason."""
    recorded = Family("pillion_agent_spans_recorded_total", "counter", "Spans that a process recorded.")
    sent = Family("pillion_agent_spans_sent_total", "counter", "Spans of a process that were acknowledged.")
    lost = Family("pillion_agent_spans_dropped_total", "counter", "Spans of a process that were lost, by reason.")
    waiting = Family("pillion_agent_spans_waiting", "gauge", "Spans that lie in the ring of a process.")
    for process in known:
        if process.ledger is None:
            continue
        same = _labels(process)
        recorded.add(process.ledger.recorded, **same)
        sent.add(process.ledger.sent, **same)
        waiting.add(process.ledger.waiting, **same)
        for reason, number in sorted(process.ledger.lost.items()):
            lost.add(number, **same, reason=reason)
    return [recorded, sent, lost, waiting]


def _services(collector: Collector) -> list[Family]:
    now = time.time_ns()
    rate = Family("pillion_service_request_rate", "gauge", "Requests a second over the last five minutes.")
    errors = Family("pillion_service_error_ratio", "gauge", "Share of failed requests over the last five minutes.")
    times = Family("pillion_service_duration_seconds", "gauge", "Request durations over the last five minutes.")
    for one in query_services.services(collector.store, Window(now - RECENT_NS, now))["services"]:
        rate.add(one["rate"], service_name=one["name"])
        errors.add(one["error_rate"], service_name=one["name"])
        for quantile, key in (("0.5", "p50_ns"), ("0.95", "p95_ns"), ("0.99", "p99_ns")):
            seconds = None if one[key] is None else one[key] / 1e9
            times.add(seconds, service_name=one["name"], quantile=quantile)
    return [rate, errors, times]


def _processes(known: list[Process]) -> list[Family]:
    found = {
        name: Family(prometheus_name(name, metric), _kind(metric), f"{name} of a process.")
        for name, metric in METRICS.items()
    }
    for process in known:
        if not process.alive or process.sample is None:
            continue
        same = _labels(process)
        for (name, which), value in process.sample.values.items():
            attribute = METRICS[name].attribute
            labels = {**same, **({attribute.replace(".", "_"): which} if attribute else {})}
            found[name].add(value, **labels)
    return list(found.values())


def _labels(process: Process) -> dict[str, str | None]:
    found = process.found
    return {"service_name": found.service, "service_instance_id": found.instance, "pid": str(process.pid)}


def prometheus_name(name: str, metric: Metric) -> str:
    """process.cpu.time in s, monotonic: process_cpu_time_seconds_total."""
    return name.replace(".", "_") + _WORDS.get(metric.unit, "") + ("_total" if metric.monotonic else "")


def _kind(metric: Metric) -> str:
    return "counter" if metric.kind == SUM and metric.monotonic else "gauge"
