from pathlib import Path

import pytest

from tools import sizes


def test_no_module_and_no_function_is_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = sizes.main()
    assert verdict == 0, capsys.readouterr().err


def test_an_exception_may_only_shrink() -> None:
    measured = [sizes.Size("module.py", 450)]
    assert sizes.excess(measured, 400, {}) == ["module.py has 450 lines, the limit is 400: split it by subject"]
    assert sizes.excess(measured, 400, {"module.py": 450}) == []
    assert sizes.excess(measured, 400, {"module.py": 430}) == ["module.py grew from 430 to 450 lines"]
    assert sizes.excess(measured, 400, {"module.py": 460}) == ["module.py shrank from 460 to 450 lines: say so in LARGER"]


def test_functions_are_counted_with_decorators_and_docstrings_and_inner_ones_twice(tmp_path: Path) -> None:
    source = '@decorated\n@twice\ndef outer():\n    """Doc."""\n\n    class Local:\n        async def inner(self):\n            pass\n'
    (tmp_path / "example.py").write_text(source)
    counted = [(size.name.rpartition("::")[2], size.lines) for size in sizes.functions(tmp_path)]
    assert counted == [("outer", 8), ("outer.Local.inner", 2)]
    assert [size.lines for size in sizes.modules(tmp_path)] == [8]
