"""`python -m tools.supply.licences` writes THIRD_PARTY.md: the licences of what the image has of others.

They are those that the packages of the runtime's lock files declare of themselves. What the base of the image brings is
in the bill of materials (`sbom.py`), since it is another one with each base.
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

# The lock files that an image may be built of, each with which image that is.
_LOCKS = {
    "requirements.txt": "every image",
    "requirements/jwt.txt": "images that verify tokens",
    "requirements/otlp.txt": "images that send spans",
}

# What goes well with Apache-2.0, and asks for no more than to be named (MPL-2.0: of whoever changes its files, which we
# don't): by SPDX's names, https://spdx.org/licenses/.
ALLOWED = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}

# What was written before SPDX's names were (PEP 639), in License or in a classifier.
_MEANT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "License :: OSI Approved :: MIT License": "MIT",
}
# Where that says too little, or the package is not there for every Python: by its licence's files.
_READ = {
    "backports-zstd": "PSF-2.0",  # LICENSE.txt
    "uvloop": "MIT OR Apache-2.0",  # LICENSE-MIT, LICENSE-APACHE
}
# What a package has compiled into it, with its licence, by what the package says.
BUNDLED = {
    "backports-zstd": {"zstd": "BSD-3-Clause"},
    "brotli": {"brotli": "MIT"},
    "cryptography": {"OpenSSL": "Apache-2.0"},
    "uvloop": {"libuv": "MIT"},
}

_HEAD = """# What the image has of others

Written by `make format` of the lock files [requirements.txt](requirements.txt),
[requirements/jwt.txt](requirements/jwt.txt) and [requirements/otlp.txt](requirements/otlp.txt), and of what the
packages say of themselves; each package's licence stands in the image in its folder `/packages/*.dist-info`. What the
base image brings (Debian and Python) is listed, with licences where the base tells them, in the bill of materials that
`make sbom` writes.

| package | version | licence | compiled into it | in |
| --- | --- | --- | --- | --- |
"""


@cache
def _spdx() -> Licensing:
    """Give SPDX's licences, which take a moment to be read."""
    return get_spdx_licensing()


class LicenceError(Exception):
    """A package says nothing of its licence that is understood, or one that is not allowed."""


def of(name: str, fields: Mapping[str, str | list[str]]) -> str:
    """Give the SPDX expression of a package by its metadata, as `importlib.metadata` has it in JSON.

    Raises `LicenceError`.
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
    """Tell whether all licences that an SPDX expression names are allowed. Raises `LicenceError` for no expression."""
    try:
        return set(_spdx().license_keys(expression, validate=True)) <= ALLOWED
    except ExpressionError as error:
        raise LicenceError(f"{expression!r}: {error}") from error


def runtime() -> dict[str, tuple[Locked, str]]:
    """Give what may be in the image by name, each with the images that it is in, of the first lock file that has it."""
    found: dict[str, tuple[Locked, str]] = {}
    for file, where in _LOCKS.items():
        for name, package in read((ROOT / file).read_text()).items():
            found.setdefault(name, (package, where))
    return found


def document() -> str:
    """Give what THIRD_PARTY.md should be. Raises `LicenceError`."""
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
