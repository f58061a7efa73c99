# SPDX-License-Identifier: Apache-2.0
"""The command line of the collector: `pillion up`, and the tables that ask a running one.

Exit codes: 0 done, 1 trouble while running, 2 wrong usage or setting. Trouble is one line on stderr.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from pillion_collector import Trouble

COMMANDS = {
    "up": "run the node's collector in the foreground: receives, keeps, shows",
    "services": "services with rate, errors and latencies",
    "traces": "search for traces",
    "trace": "one trace as a tree",
    "ps": "the node's processes with CPU, memory and why they are (not) instrumented",
    "crashes": "processes that did not end in order: how, in which requests, after which spans",
    "stats": "pillion's own ledger: recorded = stored + dropped, for each process",
}
PIPE_WIDTH = 160  # where there is no terminal to ask
_EXAMPLES = {
    "up": """examples:
  pillion up
  pillion up --data /var/lib/pillion --retention-age 3d --retention-bytes 20GB
  pillion up --grpc 0.0.0.0:4317 --http 127.0.0.1:0""",
    "services": """examples:
  pillion services
  pillion services --from -15m --json""",
    "traces": """examples:
  pillion traces --service shop --status error
  pillion traces --slowest --from -6h --min 500ms
  pillion traces --attribute http.route=/cart --attribute http.response.status_code=500
  pillion traces --q timeout""",
    "trace": """examples:
  pillion trace 66f1a2b3c4d5e6f708192a3b4c5d6e7f
  pillion trace 66f1a2b3            the first digits, as long as they are unique""",
    "ps": """examples:
  pillion ps
  pillion ps --all                  also those that have ended""",
    "crashes": """examples:
  pillion crashes
  pillion crashes --service shop --from -24h --json""",
    "stats": """examples:
  pillion stats --json""",
}


@dataclass(frozen=True)
class Screen:
    """Where the answer is shown."""

    width: int
    colour: bool


class _Parser(argparse.ArgumentParser):
    """Wrong usage is one line, not a page."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see `{self.prog} --help`", file=sys.stderr)
        raise SystemExit(2)


def main(argv: list[str]) -> int:
    """Runs one command; never lets a traceback out for what a user can put right."""
    try:
        return _run(_parse(argv))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 2
    except Trouble as trouble:
        print(f"pillion {argv[0] if argv else ''}: {trouble}", file=sys.stderr)
        return trouble.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `pillion traces | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "up":
        from pillion_collector import up  # the daemon's imports are not for a table

        return up.command(vars(arguments), os.environ)
    from pillion_collector import cli_show
    from pillion_collector.client import Client

    answer, text = cli_show.SHOW[arguments.command](Client(arguments.url), arguments, screen())
    print(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode() if arguments.json else text)
    sys.stdout.flush()
    return 0


def screen() -> Screen:
    """Colours only on a terminal that wants them (NO_COLOR)."""
    terminal = sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Screen(max(40, shutil.get_terminal_size((80 if terminal else PIPE_WIDTH, 24)).columns), colour)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="pillion", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    by_name = {name: _command(commands, name, text) for name, text in COMMANDS.items()}
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        by_name[arguments.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return arguments


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=_EXAMPLES[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _ARGUMENTS[name](one)
    if name != "up":
        one.add_argument("--url", metavar="URL", help="of the collector (PILLION_URL; default: http://127.0.0.1:4320)")
    one.add_argument("--json", action="store_true", help="print JSON")
    return one


def _up(parser: argparse.ArgumentParser) -> None:
    from pillion_collector.settings import OPTIONS

    for option in OPTIONS:
        text = f"{option.help} [{option.variable}]"
        if option.metavar:
            parser.add_argument(option.flag, dest=option.name, metavar=option.metavar, help=text)
        else:
            parser.add_argument(option.flag, dest=option.name, action="store_const", const="true", help=text)


def _window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="begin", metavar="TIME", help="such as -15m, -6h, -2d, or ns since the epoch (default: -1h)"
    )
    parser.add_argument("--to", dest="end", metavar="TIME", help="such as -5m (default: now)")


def _traces(parser: argparse.ArgumentParser) -> None:
    _window(parser)
    parser.add_argument("--service", metavar="NAME")
    parser.add_argument("--operation", metavar="NAME", help="name of a span")
    parser.add_argument("--status", choices=("error", "ok"))
    parser.add_argument("--min", metavar="TIME", help="shortest duration, such as 250ms or 2s")
    parser.add_argument("--max", metavar="TIME", help="longest duration")
    parser.add_argument(
        "--attribute", metavar="KEY=VALUE", action="append", default=[], help="of a span or its resource; repeatable"
    )
    parser.add_argument("--q", metavar="TEXT", help="free text: names, messages, attributes, events")
    parser.add_argument("--limit", metavar="N", default="20", help="at most so many (default: 20)")
    parser.add_argument("--slowest", action="store_true", help="slowest first, instead of newest")


def _trace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="a trace id, or its first digits")


def _ps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also processes that have ended")


def _crashes(parser: argparse.ArgumentParser) -> None:
    _window(parser)
    parser.add_argument("--service", metavar="NAME")
    parser.add_argument("--limit", metavar="N", default="20", help="at most so many (default: 20)")


def _nothing(parser: argparse.ArgumentParser) -> None:
    return


_ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "up": _up,
    "services": _window,
    "traces": _traces,
    "trace": _trace,
    "ps": _ps,
    "crashes": _crashes,
    "stats": _nothing,
}


def pairs(*given: tuple[str, str | None]) -> Sequence[tuple[str, str]]:
    """Query parameters that were given."""
    return [(name, value) for name, value in given if value]
