"""A reference `module:function` runs the source whose digest is recorded, and nothing else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tunixrt.functions import FunctionError, UserFunction, load_function

if TYPE_CHECKING:
    from pathlib import Path


def load(reference: str, directory: Path) -> UserFunction:
    return load_function(
        reference, what="judge", example="my_judges:strict", directories=[directory]
    )


def test_what_runs_is_the_file_as_it_is_now_whatever_python_has_cached(tmp_path: Path) -> None:
    path = tmp_path / "own_module.py"
    found = []
    for digit in b"123":  # the same size, and mostly within one tick of the clock
        path.write_bytes(b"def f():\n    return %c\n" % digit)
        function = load("own_module:f", tmp_path)
        found.append(function())
        assert function.source == path.read_bytes()
    assert found == [1, 2, 3]


def test_two_directories_with_a_module_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    loaded = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own_module.py").write_text(f"def f():\n    return {name!r}\n")
        loaded.append(load("own_module:f", tmp_path / name))
    loaded.append(load("own_module:f", tmp_path / "one"))
    assert [function() for function in loaded] == ["one", "two", "one"]


def test_the_directory_is_on_the_path_while_the_function_runs_and_at_no_other_time(
    tmp_path: Path,
) -> None:
    (tmp_path / "beside_it.py").write_text("VALUE = 7\n")
    (tmp_path / "own_module.py").write_text(
        "def f():\n    from beside_it import VALUE\n    return VALUE\n"
    )
    before = list(sys.path)
    function = load("own_module:f", tmp_path)
    assert sys.path == before
    assert function() == 7
    assert sys.path == before
    del sys.modules["beside_it"]


def test_a_module_that_the_program_uses_itself_keeps_its_place() -> None:
    import json.decoder

    before = json.decoder
    function = load_function("json.decoder:scanstring", what="judge", example="a:b")
    assert function.source is not None
    assert b"JSONDecoder" in function.source
    assert sys.modules["json.decoder"] is before


def test_what_a_function_prints_is_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_module.py").write_text("print('loading')\ndef f():\n    print('running')\n")
    load("own_module:f", tmp_path)()
    assert capsys.readouterr() == ("", "loading\nrunning\n")


SOURCE = """\
from json import dumps as elsewhere
NUMBER = 7
def strict(): ...
strict.version = 2
"""


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("own_module.py", "given as module:function, such as my_judges:strict; found"),
        ("own_module:", "given as module:function"),
        ("own-module:f", "given as module:function"),
        ("absent_module:f", 'the module "absent_module" was not found in '),
        ("own_module.inner:f", "cannot be loaded"),
        ("own_module:strickt", 'has no "strickt". Did you mean "strict"?'),
        ("own_module:NUMBER", "should be a function, but is of type int"),
        ("own_module:elsewhere", "name it where it is defined, json:dumps"),
        ("broken:f", "cannot be loaded: SyntaxError: "),
        ("needs:f", "cannot be loaded: ModuleNotFoundError: No module named 'absent_library'"),
        ("leaves:f", "cannot be loaded: SystemExit: 3"),
    ],
)
def test_what_cannot_be_loaded_gets_a_sentence(
    tmp_path: Path, reference: str, sentence: str
) -> None:
    (tmp_path / "own_module.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "needs.py").write_text("import absent_library\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(FunctionError) as error:
        load(reference, tmp_path)
    assert sentence in str(error.value)
    assert error.value.reference == reference


def test_an_attribute_that_should_be_text_is(tmp_path: Path) -> None:
    (tmp_path / "own_module.py").write_text(SOURCE)
    function = load("own_module:strict", tmp_path)
    assert function.text_attribute("name") is None
    with pytest.raises(FunctionError, match="`version` of own_module:strict should be text, but"):
        function.text_attribute("version")
