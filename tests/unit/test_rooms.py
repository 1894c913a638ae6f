"""The packages of `app`: what an import of one module loads.

import-linter checks the directions of imports.
"""

import sys

import pytest

from tools.commands import ROOT, run

PACKAGES = sorted(str(path.parent.relative_to(ROOT)).replace("/", ".") for path in (ROOT / "app").rglob("__init__.py"))


def loaded(module: str) -> set[str]:
    """Return the names of all modules that a new process has loaded after one import."""
    return set(run(sys.executable, "-c", f"import sys, {module}; print(*sys.modules)").split())


def test_tls_loads_neither_gunicorn_nor_uvloop() -> None:
    """Package `__init__` files are empty, so the import of one module does not load its neighbours."""
    assert loaded("app.server.tls").isdisjoint({"gunicorn", "uvloop"})


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_loads_nothing_but_its_parents(package: str) -> None:
    """A package's `__init__` has no code, so that it loads only its parents."""
    own = {name for name in loaded(package) if name == "app" or name.startswith("app.")}
    parts = package.split(".")
    assert own == {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
