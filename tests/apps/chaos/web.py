# SPDX-License-Identifier: Apache-2.0
"""web: a Flask application whose requests make numbered spans, fork, and now and then end their worker."""

import os
import random
import signal

import flask

from tests.chaos import truth

truth.book.mixed = True  # flask's own spans have no number
app = flask.Flask(__name__)


@app.get("/work")
def work():
    return str([truth.span("step") for _ in range(5)][-1])


@app.get("/steps/<int:number>")
def steps(number):
    return str([truth.span("step", text="x" * 40) for _ in range(number)][-1:])


@app.get("/fork")
def fork():
    pid = os.fork()
    if pid == 0:
        truth.span("forked in a request")
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"


@app.get("/end")
def end():
    truth.span("before the end")
    random.Random().choice(
        (
            lambda: os._exit(4),
            lambda: os.kill(os.getpid(), signal.SIGSEGV),
            lambda: os.kill(os.getpid(), signal.SIGKILL),
        )
    )()
    return "still there"
