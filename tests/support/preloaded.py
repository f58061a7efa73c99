# SPDX-License-Identifier: Apache-2.0
"""preloaded: runs programs with libpillion.so in LD_PRELOAD and nothing else, beside the same ones without it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.support.traced import AGENT, Result, Traced, clean_environ

LIBRARY = AGENT / "pillion" / "libpillion.so"


class Preloaded(Traced):
    """Programs of any kind; PYTHONPATH and all other variables are the test's own."""

    def settings(self) -> dict[str, str]:
        """The variables that tell pillion of this test's folders; harmless without it."""
        return {"PILLION_RUN_DIR": str(self.run_dir), "PILLION_LOG": str(self.folder / "pillion.log")}

    def environ(self, **more: str) -> dict[str, str]:
        return clean_environ(**{"LD_PRELOAD": str(LIBRARY), **self.settings(), **more})

    def command(self, *command: str | Path, **env: str) -> Result:
        """Runs a command preloaded."""
        return self.execute([str(word) for word in command], self.environ(**env))

    def alone(self, *command: str | Path, **env: str) -> Result:
        """Runs it with the same environment, LD_PRELOAD apart."""
        without = {name: value for name, value in self.environ(**env).items() if name != "LD_PRELOAD"}
        return self.execute([str(word) for word in command], without)

    def same(self, *command: str | Path, **env: str) -> Result:
        """Runs it both ways; to the byte nothing may differ."""
        alone, ours = self.alone(*command, **env), self.command(*command, **env)
        assert ours == alone, command
        return ours

    def record(self) -> dict[str, Any]:
        """The one record that was left."""
        (found,) = self.records()
        return found


def compile_c(out: Path, *words: str | Path, compiler: str = "cc") -> Path:
    """Compiles a test's program; the compiler's complaint is the failure."""
    done = subprocess.run([compiler, "-o", out, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out
