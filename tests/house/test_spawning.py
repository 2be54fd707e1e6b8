"""Lint bans names (`asyncio.create_task`); this finds the ways round the ban: methods of a loop, aliases, rooms with an allowance."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "callboard"
TASKS = {"create_task", "ensure_future", "TaskGroup", "run_coroutine_threadsafe"}
THREADS = {"Thread", "Timer", "ThreadPoolExecutor", "ProcessPoolExecutor", "run_in_executor", "to_thread", "start_new_thread"}


def spawning(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names that make a task or a thread, and their lines. A thread may be named as a type; a task maker is not even passed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in TASKS:
            yield node.attr, node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in THREADS:
            yield node.func.attr, node.lineno
        elif (
            isinstance(node, ast.ImportFrom)
            and node.module is not None
            and node.module.partition(".")[0] in {"asyncio", "threading", "concurrent"}
        ):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in TASKS | THREADS)


def allowed(path: str, name: str) -> bool:
    """Tasks are made by net/tasks alone, threads by net/threads and by a store inside its own folder."""
    if name in TASKS:
        return path == "net/tasks.py"
    return path == "net/threads.py" or (path.startswith("store/") and path.count("/") > 1)


def test_tasks_and_threads_are_made_in_one_place_each() -> None:
    found = [
        f"src/callboard/{path}:{line} uses {name}: take net.tasks.spawn or net.threads.start"
        for file in sorted(SOURCE.rglob("*.py"))
        for path in [file.relative_to(SOURCE).as_posix()]
        for name, line in spawning(ast.parse(file.read_text("utf-8")))
        if not allowed(path, name)
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "loop.create_task(work())",
        "from asyncio import ensure_future",
        "import asyncio as a\na.TaskGroup()",
        "from threading import Thread as T",
        "pool = concurrent.futures.ThreadPoolExecutor()",
    ],
)
def test_the_search_finds_the_ways_round_lint(code: str) -> None:
    assert list(spawning(ast.parse(code)))
