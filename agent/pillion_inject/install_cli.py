# SPDX-License-Identifier: Apache-2.0
"""install_cli: the command line of `pillion install`: what an init container runs, and a person who updates."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, Sequence

from pillion_inject import CODES, CONFLICT, UNFIT, USAGE, Trouble, home, install, manifest, versions
from pillion_inject.cli import Parser

DESCRIPTION = """\
Puts pillion into a folder that containers mount: DIR/VERSION, compared file by file with the bundle's manifest, and
DIR/current, which is one link. Applications then start with LD_PRELOAD=DIR/current/libpillion.so. What runs already
keeps the version that it was started from.
"""
EPILOG = """\
examples:
  pillion install --to /opt/pillion --from dist/pillion-bundle-0.1.0
  pillion install --to /opt/pillion --from dist/pillion-bundle-0.2.0 --canary /usr/bin/python3
  pillion install --to /opt/pillion --list
  pillion install --to /opt/pillion --use 0.1.0          back to it
  python3 BUNDLE/pillion_inject install --to /opt/pillion   the bundle by itself, with any Python from 3.8 on

exit codes:
  0  done, or there was nothing to do
""" + "".join(f"  {code}  {text}\n" for code, text in CODES.items())


def _options() -> argparse.ArgumentParser:
    parser = Parser(
        prog="pillion install",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    parser.add_argument("--to", metavar="DIR", required=True, help="the folder that holds the versions")
    parser.add_argument("--from", metavar="BUNDLE", help="what is installed (default: the bundle that "
                        "this program is part of)")  # fmt: skip
    parser.add_argument("--arch", metavar="ARCH", help="of the processes to be injected (default: this machine's)")
    parser.add_argument("--canary", metavar="PYTHON", help="make it current only if this interpreter is fit for it")
    parser.add_argument("--no-current", action="store_true", help="leave the link as it is")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--use", metavar="VERSION", help="make an installed version current: update and rollback")
    instead.add_argument("--list", action="store_true", help="show the installed versions")
    instead.add_argument("--remove", metavar="VERSION", help="remove a version that is not current")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(args: Sequence[str]) -> int:
    """Does what was asked for; trouble is one line on stderr, with --json an object on stdout too."""
    try:
        options = _options().parse_args(list(args))
        answer, text = _do(options)
    except Trouble as trouble:
        sys.stderr.write(f"pillion install: {trouble}\n")
        if "--json" in args:
            sys.stdout.write(json.dumps({"error": str(trouble), "code": trouble.code}) + "\n")
        return trouble.code
    except SystemExit as end:  # --help
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(json.dumps(answer, indent=2) + "\n" if options.json else text)
    return 0


def _do(options: argparse.Namespace) -> tuple[Any, str]:
    if not options.to.strip():
        raise Trouble("--to: is empty: name the folder that holds the versions, such as /opt/pillion", USAGE)
    instead = options.use or options.remove or options.list
    for name in ("from", "arch", "canary", "no_current"):
        if getattr(options, name) and instead:
            option = "--" + name.replace("_", "-")
            raise Trouble(f"{option}: makes no sense with --use, --list and --remove: leave it out", USAGE)
    if options.canary and options.no_current:
        raise Trouble("--canary: decides on what is current: leave out --no-current", USAGE)
    if options.list:
        return _list(options.to)
    if options.use is not None:
        previous = versions.use(options.to, options.use)
        changed = previous != options.use
        text = f"current is {options.use}{f', was {previous}' if changed else ' as before'}\n"
        return {"current": options.use, "previous": previous, "changed": changed}, text
    if options.remove is not None:
        versions.remove(options.to, options.remove)
        return {"removed": options.remove}, f"removed {options.remove}\n"
    return _install(options)


def _install(options: argparse.Namespace) -> tuple[Any, str]:
    bundle, check = getattr(options, "from") or _own(), _canary(options.canary) if options.canary else None
    done = install.install(options.to, bundle, options.arch, not options.no_current, check)
    path = os.path.abspath(options.to)
    preload = f"{path}/{install.CURRENT}/{manifest.LIBRARY}"
    how = f"{done.files} files, {done.bytes / 1e6:.1f} MB, compared with the manifest"
    lines = [f"pillion {done.version} is in {path}/{done.folder} ({how}{'' if done.changed else ', nothing to do'})"]
    if done.current == done.folder and done.previous not in (None, done.folder):
        lines.append(f"current was {done.previous}; back to it: pillion install --to {path} --use {done.previous}")
    elif done.current != done.folder:
        lines.append(f"current is {done.current or 'not set'}: pillion install --to {path} --use {done.folder}")
    if done.swept:
        lines.append(f"swept away what {done.swept} unfinished install(s) had left")
    lines += [f"note: {note}" for note in done.notes]
    if done.current:
        lines.append(f"LD_PRELOAD={preload}")
    answer = {**done._asdict(), "path": f"{path}/{done.folder}", "preload": preload if done.current else None}
    return answer, "\n".join(lines) + "\n"


def _canary(python: str) -> install.Check:
    from pillion_inject import canary, canary_run

    def check(root: str) -> None:
        verdict = canary.examine(canary.Options([python], pairs=1), canary_run.road(root))
        if verdict.why:
            more = f"`pillion canary --bundle {root} -- {python}` tells all; current is as it was"
            raise Trouble(f"--canary {python}: {verdict.why[0]}: {more}", UNFIT)

    return check


def _own() -> str:
    """The bundle that this package lies in. Raises Trouble."""
    bundle = home()
    if not os.path.exists(os.path.join(bundle, manifest.NAME)):
        raise Trouble("--from: name the folder of a bundle (this pillion is not part of one; `make bundle` makes one)",
                      USAGE)  # fmt: skip
    return bundle


def _list(path: str) -> tuple[Any, str]:
    found = versions.everything(path)
    rows = [f"{'*' if each.current else ' '} {each.folder:20}  {_state(each)}" for each in found]
    if not found:
        raise Trouble(f"--to {path}: holds no version of pillion", CONFLICT)
    return [each._asdict() for each in found], "\n".join(rows) + "\n"


def _state(each: versions.Version) -> str:
    if not each.whole:
        return f"damaged: {each.trouble}"
    return f"{each.files} files, {each.bytes / 1e6:.1f} MB, {' '.join(each.arches)}"
