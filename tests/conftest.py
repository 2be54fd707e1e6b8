"""What holds for every test: hypothesis profiles, and that a skipped test is a failed one.

Warnings are errors and a test may take five minutes: pyproject.toml, [tool.pytest.ini_options].
"""

import os
import pkgutil
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

import callboard.testing

# A slow machine is no finding (deadline, too_slow). `ci` looks further and prints how to replay a failure; `dev` is for the next second.
settings.register_profile("dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
# Continuous integration tries the same examples each time, so that a change is judged and not chance; people try new ones.
settings.register_profile(
    "ci", deadline=None, max_examples=200, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# Programs that tests start write to pipes as they do for users: buffered, unless they flush.
os.environ.pop("PYTHONUNBUFFERED", None)
# And they hear Ctrl-C: a shell that starts the tests in the background has it ignored, by them and by all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The shipped suites are tests too: their asserts tell what they compared.
# One by one: the package itself is loaded by then, for the plug-in is in it.
_SHIPPED = [module.name for module in pkgutil.iter_modules(callboard.testing.__path__, "callboard.testing.") if "_suite" in module.name]
pytest.register_assert_rewrite(*_SHIPPED)

_NO_SKIP = "skipped ({reason}), and a skip is a failure: mark it `interop` or `soak`, or declare the deviation in the suite's table"


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = _NO_SKIP.format(reason=reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report
