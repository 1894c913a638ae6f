"""`python -m tools.supply.licences`: write THIRD_PARTY.md.

It has the licences of third-party packages in the image, which the packages of the runtime's lock files declare
themselves. Those of the image's base are in the bill of materials (`sbom.py`), because they differ with each base.
"""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import metadata

from license_expression import (  # type: ignore[import-untyped] # it publishes no types
    ExpressionError,
    Licensing,
    get_spdx_licensing,
)

from tools.commands import ROOT
from tools.supply.locks import Locked, normalized, read

FILE = ROOT / "THIRD_PARTY.md"

# The lock files that an image may be built from, each with the image's name.
_LOCKS = {
    "requirements.txt": "every image",
    "requirements/jwt.txt": "images that verify tokens",
    "requirements/otlp.txt": "images that send spans",
}

# Licences that are compatible with Apache-2.0 and require no more than attribution (MPL-2.0: also of whoever changes
# its files, which we don't): by SPDX's names, https://spdx.org/licenses/.
ALLOWED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}

# SPDX names of licences that are stated in License or in a classifier, from before PEP 639.
_MEANT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "License :: OSI Approved :: MIT License": "MIT",
}
# Licences read from a package's licence files, if its metadata are insufficient or it does not exist for every Python.
_READ = {
    "backports-zstd": "PSF-2.0",  # LICENSE.txt
    "uvloop": "MIT OR Apache-2.0",  # LICENSE-MIT, LICENSE-APACHE
}
# Libraries that are compiled into a package, with their licences, as the package states.
BUNDLED = {
    "backports-zstd": {"zstd": "BSD-3-Clause"},
    "brotli": {"brotli": "MIT"},
    "cryptography": {"OpenSSL": "Apache-2.0"},
    "uvloop": {"libuv": "MIT"},
}

_HEAD = """# What the image has of others

Written by `make format` of the lock files [requirements.txt](requirements.txt),
[requirements/jwt.txt](requirements/jwt.txt) and [requirements/otlp.txt](requirements/otlp.txt), and of what the
packages declare; each package's licence is in the image in its folder `/packages/*.dist-info`. The packages of the base
image (Debian and Python) are listed, with licences if the base has them, in the bill of materials that `make sbom`
writes.

| package | version | licence | compiled into it | in |
| --- | --- | --- | --- | --- |
"""


@cache
def _spdx() -> Licensing:
    """Return SPDX's licences, which take a moment to load."""
    return get_spdx_licensing()


class LicenceError(Exception):
    """A package states no known licence, or one that is not allowed."""


def of(name: str, fields: Mapping[str, str | list[str]]) -> str:
    """Return the SPDX expression of a package by its metadata, as `importlib.metadata` has it in JSON.

    Raise `LicenceError` if there is none.
    """
    if name in _READ:
        return _READ[name]
    texts = [str(fields.get("license_expression", "")), *_older(fields)]
    for text in texts:
        found = _MEANT.get(text, text)
        if found and not _spdx().validate(found).errors:
            return found
    raise LicenceError(f"{name}: no licence that is understood in {[text for text in texts if text]}")


def _older(fields: Mapping[str, str | list[str]]) -> list[str]:
    return [str(fields.get("license", "")), *(each for each in fields.get("classifier", ()) if "License ::" in each)]


def is_allowed(expression: str) -> bool:
    """Return whether all licences in an SPDX expression are allowed.

    Raise `LicenceError` if it is not an expression.
    """
    try:
        return set(_spdx().license_keys(expression, validate=True)) <= ALLOWED
    except ExpressionError as error:
        raise LicenceError(f"{expression!r}: {error}") from error


def runtime() -> dict[str, tuple[Locked, str]]:
    """Return the packages that may be in the image, by name.

    Each has the images that it is in, and is that of the first lock file that has it.
    """
    found: dict[str, tuple[Locked, str]] = {}
    for file, where in _LOCKS.items():
        for name, package in read((ROOT / file).read_text()).items():
            found.setdefault(name, (package, where))
    return found


def document() -> str:
    """Return the text of THIRD_PARTY.md. Raise `LicenceError` if a licence is unknown or not allowed."""
    rows = []
    for name, (package, where) in sorted(runtime().items()):
        licence = of(name, {} if name in _READ else metadata(name).json)
        parts = BUNDLED.get(normalized(name), {})
        for each in (licence, *parts.values()):
            if not is_allowed(each):
                raise LicenceError(f"{name}: {each} is not among those that are allowed")
        bundled = ", ".join(f"{part} ({its})" for part, its in parts.items())
        rows.append(f"| {name} | {package.version} | {licence} | {bundled} | {where} |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    FILE.write_text(document())
