"""Missing imports of the service and its packages, printed as JSON.

It runs in the image, by its own Python. Every module is imported; imports within functions, which run later or never,
are checked, too.
"""

import dis
import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec, resolve_name
from types import CodeType
from typing import Any, Final

ROOTS: Final = ("/packages", "/app")


def main() -> None:
    """Print, as JSON, why modules can't be imported, and which imported modules are missing, by their importers."""
    names = sorted(each.name for each in pkgutil.walk_packages(ROOTS))
    broken = {name: error for name in names if (error := _error(name))}
    missing: dict[str, list[str]] = {}
    for name in names:
        for each in sorted(set(_imported(name))):
            if each.partition(".")[0] in names and not _is_there(each):
                missing.setdefault(each, []).append(name)
    print(json.dumps({"modules": len(names), "broken": broken, "missing": missing}))  # noqa: T201 - its purpose


def _error(name: str) -> str:
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever a module raises
        return repr(error)
    return ""


def _imported(name: str) -> Iterator[str]:
    """Yield the modules that a module imports, in any place."""
    spec = find_spec(name)
    loader: Any = spec and spec.loader
    code = loader.get_code(name) if hasattr(loader, "get_code") else None
    waiting = [code] if code else []
    while waiting:
        code = waiting.pop()
        waiting += [each for each in code.co_consts if isinstance(each, CodeType)]
        instructions = list(dis.get_instructions(code))
        for level, names, instruction in zip(instructions, instructions[1:], instructions[2:], strict=False):
            if instruction.opname == "IMPORT_NAME":
                module = resolve_name("." * level.argval + instruction.argval, spec.parent if spec else "")
                yield module
                if module in sys.modules:  # then a name is an attribute of it, or a submodule
                    held = {"*", *vars(sys.modules[module])}
                    yield from (f"{module}.{each}" for each in names.argval or () if each not in held)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # its package is missing, or is a module
        return False


if __name__ == "__main__":
    main()
