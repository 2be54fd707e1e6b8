import os
import subprocess
import sys

from callboard.client import forks


class Owner:
    def __init__(self) -> None:
        self.forked = 0


def in_child(check: str) -> int:
    """The exit code of a fresh interpreter that runs `check`."""
    return subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", check], check=False, timeout=90).returncode


IMPORTED = """
import os, random, logging, threading, concurrent.futures  # these ask, when they are imported
def refuse(**_): raise SystemExit("asked")
os.register_at_fork = refuse
import callboard.client.forks, callboard.client.keeping
"""


def test_importing_asks_the_system_for_nothing() -> None:
    assert in_child(IMPORTED) == 0


def test_who_lives_at_the_fork_is_told_in_the_child_and_nobody_else() -> None:
    owner, gone = Owner(), Owner()
    forks.after_in_child(owner, lambda one: setattr(one, "forked", one.forked + 1))
    forks.after_in_child(gone, lambda _: os._exit(9))
    del gone
    child = os.fork()
    if not child:
        os._exit(owner.forked)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert owner.forked == 0


FORKING_WHILE_OPENING = """
import os, threading
from callboard.client import forks
class Owner: pass
owner = Owner()
forks.after_in_child(owner, lambda _: None)
held, ended = threading.Event(), threading.Event()
def hold():
    while not ended.is_set():
        with forks.opening():
            held.set()
thread = threading.Thread(target=hold, daemon=True)
thread.start()
held.wait()
for _ in range(50):
    child = os.fork()
    if not child:
        os._exit(0 if forks.opening().acquire(timeout=5) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
ended.set()
thread.join(60)
"""


def test_what_is_held_while_something_is_opened_is_free_in_the_child() -> None:
    assert in_child(FORKING_WHILE_OPENING) == 0
