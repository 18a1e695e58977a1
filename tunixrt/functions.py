"""Functions that users write and name as ``module:function``: found, read and called.

The module is searched for in the directories of the caller, then where Python imports from. These
directories are on ``sys.path`` while the module is loaded and while the function runs, and at no
other time. The file is read once, and what runs is compiled from these very bytes, without a
bytecode cache: the digest of a function's source is that of the function that was called, even if
the file changed a moment ago.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunixrt.errors import BadInputError
from tunixrt.words import quoted, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType


class FunctionError(BadInputError):
    """A reference ``module:function`` to a function that cannot be loaded.

    Attributes:
        reference: what was given.
    """

    def __init__(self, reference: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reference = reference


@dataclass(frozen=True)
class UserFunction:
    """A function that was loaded.

    Attributes:
        reference: ``module:function``.
        function: the function itself, for its attributes.
        source: the file that defines it, as it was when it was loaded; None for a module without
            Python source.
        directories: those that its own imports search first.
    """

    reference: str
    function: Callable[..., object]
    source: bytes | None
    directories: tuple[Path, ...]

    def __call__(self, *arguments: object) -> object:
        """Call the function; what it prints goes to stderr, since stdout is for results."""
        with _search(self.directories), contextlib.redirect_stdout(sys.stderr):
            return self.function(*arguments)

    def text_attribute(self, name: str) -> str | None:
        """Return an attribute of the function, such as ``version``; None if it has none.

        Raises:
            FunctionError: it is not text.
        """
        found = getattr(self.function, name, None)
        if found is None or isinstance(found, str):
            return found
        raise FunctionError(
            self.reference,
            f"The attribute `{name}` of {self.reference} should be text, but is {found!r}.",
        )


def load_function(
    reference: str, *, what: str, example: str, directories: Sequence[Path] = ()
) -> UserFunction:
    """Return the function that ``module:function`` names.

    Args:
        reference: the module and the function.
        what: what the function is for, for messages: ``judge``.
        example: such a reference, for messages.
        directories: where modules are searched for before ``sys.path``.

    Raises:
        FunctionError: the module or the function does not exist, is not a function, is defined in
            another module, or the module raises an error.
    """
    module_name, _, name = reference.partition(":")
    if not name.isidentifier() or not all(map(str.isidentifier, module_name.split("."))):
        raise FunctionError(
            reference,
            f"A {what} is given as module:function, such as {example}; found {quoted(reference)}.",
        )
    places = " or ".join([*(f"in {directory}" for directory in directories), "on sys.path"])
    try:
        with _search(directories), contextlib.redirect_stdout(sys.stderr):
            module, source = _load(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _failed(reference, what, error) from error
        raise FunctionError(
            reference,
            f"The {what} {reference} does not exist: the module {quoted(error.name)} was "
            f"not found {places}.",
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(reference, what, error) from error
    function = getattr(module, name, None)
    if function is None:
        public = [known for known in vars(module) if not known.startswith("_")]
        raise FunctionError(
            reference,
            f"The {what} {reference} does not exist: the module {module_name} has no "
            f"{quoted(name)}.{suggestion(name, public)}",
        )
    if not callable(function):
        found = type(function).__name__
        raise FunctionError(
            reference, f"The {what} {reference} should be a function, but is of type {found}."
        )
    if inspect.isfunction(function) and function.__module__ != module_name:
        raise FunctionError(
            reference,
            f"The {what} {reference} is defined in another module: name it where it is defined, "
            f"{function.__module__}:{function.__name__}.",
        )
    return UserFunction(reference, function, source, tuple(directories))


def given_function(function: Callable[..., object], *, what: str) -> UserFunction:
    """Return a function that a program has at hand, with the file of its module.

    Args:
        function: one that its module has under its own name, so that a reference finds it.
        what: what the function is for, for messages.

    Raises:
        FunctionError: its module does not have it under that name.
    """
    module_name, name = function.__module__, function.__qualname__
    reference = f"{module_name}:{name}"
    module = sys.modules.get(module_name)
    if getattr(module, name, None) is not function:
        raise FunctionError(
            reference,
            f"The {what} {reference} should be a function of a module, so that its name finds it, "
            f"but the module {module_name} has no such function.",
        )
    file = getattr(module, "__file__", None) or ""
    source = Path(file).read_bytes() if file.endswith(".py") else None
    return UserFunction(reference, function, source, ())


class _SourceLoader(SourceFileLoader):
    """Loads a module from the bytes of its file, which it keeps, and from no cache."""

    source: bytes

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        self.source = self.get_data(path)
        code: CodeType = self.source_to_code(self.source, path)
        return code


def _load(name: str) -> tuple[ModuleType, bytes | None]:
    importlib.invalidate_caches()
    spec = _find(name)
    if spec.origin is None or not isinstance(spec.loader, SourceFileLoader):
        return importlib.import_module(name), None
    loader = _SourceLoader(name, spec.origin)
    inside = spec.submodule_search_locations
    fresh = spec_from_file_location(
        name, spec.origin, loader=loader, submodule_search_locations=inside
    )
    assert fresh is not None
    module = module_from_spec(fresh)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and the like look their module up
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        # A module that the program itself has imported keeps its place.
        if before is not None and not isinstance(before.__loader__, _SourceLoader):
            sys.modules[name] = before
    return module, loader.source


def _find(name: str) -> ModuleSpec:
    """Find a module as an import does, whether or not one of that name is loaded."""
    parent = name.rpartition(".")[0]
    path: Any = importlib.import_module(parent).__path__ if parent else None
    for finder in sys.meta_path:
        spec = finder.find_spec(name, path)
        if spec is not None:
            return spec
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextlib.contextmanager
def _search(directories: Sequence[Path]) -> Iterator[None]:
    """Put directories first on the path of imports, for the time of a block."""
    before = list(sys.path)
    sys.path[:0] = map(str, directories)
    try:
        yield
    finally:
        sys.path[:] = before


def _failed(reference: str, what: str, error: BaseException) -> FunctionError:
    return FunctionError(
        reference,
        f"The {what} {reference} cannot be loaded: {type(error).__name__}: {error}.",
    )
