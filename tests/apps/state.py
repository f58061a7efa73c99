# SPDX-License-Identifier: Apache-2.0
"""state: prints all of the interpreter that a start by someone else could have changed. Ends with code 3."""

import builtins
import gc
import os
import signal
import sys
import threading
import warnings


def without_preload(pairs):
    return [(name, value) for name, value in pairs if os.fsencode(name) != b"LD_PRELOAD"]


print(sys.argv, sys.path, sys.flags, sys.warnoptions, sorted(sys._xoptions))
print(__name__, __file__ and os.path.basename(__file__), sys.executable, sys.prefix, sys.base_prefix, sys.exec_prefix)
print(sys.builtin_module_names, "sitecustomize" in sys.modules, "usercustomize" in sys.modules)
print(getattr(sys.modules.get("sitecustomize"), "__file__", None), getattr(sys.modules.get("sitecustomize"), "X", None))
print(without_preload(os.environ.items()), without_preload(os.environb.items()))
with open("/proc/self/environ", "rb") as file:
    print(without_preload(tuple(pair.partition(b"=")[::2]) for pair in file.read().split(b"\0")))
print([signal.getsignal(number) for number in (2, 13, 15, 17)], signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(sorted(os.listdir("/proc/self/fd")), threading.active_count(), len(os.listdir("/proc/self/task")))
print(
    sys.getrecursionlimit(),
    sys.getswitchinterval(),
    gc.get_threshold(),
    gc.isenabled(),
    sys.gettrace(),
    sys.getprofile(),
)
print(sorted(name for name in vars(builtins)), sys.excepthook, sys.displayhook, sys.stdout.encoding, sys.stdin.errors)
print(warnings.filters[:3], os.getcwd(), os.umask(0o22), sys.dont_write_bytecode, sys.pycache_prefix)
print([type(hook) for hook in sys.path_hooks])
try:
    import sitecustomize  # noqa: F401
except ImportError as error:
    print(type(error), error, error.name, error.path)
print("to stderr", file=sys.stderr)
sys.exit(3)
