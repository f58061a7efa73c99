# SPDX-License-Identifier: Apache-2.0
"""Threads and pools of threads: a job runs under the span that gave it, and its thread keeps nothing of it."""

from __future__ import annotations

from tests.agent.tasks.conftest import Programs, Python


def test_a_thread_runs_under_the_span_that_started_it(programs: Programs, python: Python):
    tree = programs.pair("threads.py", python=python, spans=13).tree()
    assert tree == {
        "ended first": [""],
        "inner": ["main"],
        "job from main": [""],  # a queue is no carrier
        "job from outside": [""],
        "main": [""],
        "work failing": ["main"],
        "work nested": ["inner < main"],
        "work outside": [""],
        "work profiled": ["main"],
        "work slow": ["ended first"],
        "work subclass": ["main"],
        "work target": ["main"],
        "work timer": ["main"],
    }


def test_a_pools_job_runs_under_the_span_that_submitted_it(programs: Programs, python: Python):
    tree = programs.pair("pools.py", python=python, spans=21).tree()
    assert {name: ways[0] for name, ways in tree.items() if ways != [""]} == {
        "work first job": "first",
        "work 0": "second",
        "work 1": "second",
        "work 2": "second",
        "work object": "second",
        "work failing": "second",
        "work run_in_executor": "coroutine",
        "work to_thread": "coroutine",
        "work applied": "thread pool",
        "work async": "thread pool",
        "work mapped": "thread pool",
        "work star": "thread pool",
        "work imap": "thread pool",
        "work unordered": "thread pool",
    }
