# SPDX-License-Identifier: Apache-2.0
"""Asks a running collector over HTTP. Standard library only; every failure is one line that says what to do."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from pillion_collector import Trouble

DEFAULT_URL = "http://127.0.0.1:4320"
TIMEOUT_S = 30.0
_ABSENT = "no collector answers at {url} ({reason}); start one with `pillion up`, or name it with --url or PILLION_URL"


class Client:
    """`url`: of the collector's HTTP side; proxies of the environment are not used."""

    def __init__(self, url: str | None, environ: Mapping[str, str] = os.environ) -> None:
        self.url = (url or environ.get("PILLION_URL") or DEFAULT_URL).rstrip("/")
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Trouble(f"--url (PILLION_URL) {self.url}: not an http address; give one such as {DEFAULT_URL}", 2)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        """The decoded answer; Trouble for everything else."""
        url = self.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        try:
            with self._opener.open(url, timeout=TIMEOUT_S) as answer:
                return orjson.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise self._refused(error) from error
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            text = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
            raise Trouble(_ABSENT.format(url=self.url, reason=str(text).lower())) from error
        except ValueError as error:
            raise Trouble(f"{self.url} does not answer as a pillion collector does; check --url") from error

    def _refused(self, error: urllib.error.HTTPError) -> Trouble:
        try:
            told = orjson.loads(error.read())
            text, parameter = str(told["error"]), told.get("parameter")
        except (ValueError, KeyError, TypeError, OSError):
            return Trouble(f"{self.url} answers {error.code} {error.reason}; check --url")
        return Trouble(f"{parameter}: {text}" if parameter else text, 2 if error.code == 400 else 1)
