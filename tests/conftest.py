# SPDX-License-Identifier: Apache-2.0
"""The signals of the tests' programs are those of a terminal's, however the tests themselves were started.

A shell starts what goes into the background with SIGINT ignored, `nohup` with SIGHUP,
and all that is started inherits it.
"""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
