import subprocess
import sys


def test_choosing_loads_no_library_for_versions_until_a_range_is_asked_for() -> None:
    code = (
        "import sys, callboard.balance.picker, callboard.balance.outlier; from callboard.balance.selector import Selector, select;"
        "select(Selector(zone='a'), []); assert 'semver' not in sys.modules and 'asyncio' not in sys.modules;"
        "select(Selector(version='^1'), []); assert 'semver' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
