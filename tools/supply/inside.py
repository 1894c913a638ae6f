"""Contents of an image, printed as JSON by the image's own Python.

It uses only the standard library. Python packages are those on its search path, Debian's those in dpkg's list. Licences
of the latter are the short names in their machine-readable copyright files,
https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/.
"""

import json
import platform
import re
from importlib.metadata import distributions
from pathlib import Path

_DPKG = Path("/var/lib/dpkg/status")
_DOCUMENTS = Path("/usr/share/doc")


def main() -> None:
    """Print the contents, in an order that does not depend on that of folders."""
    found = {
        "python": platform.python_version(),
        "release": platform.freedesktop_os_release(),
        "distributions": sorted(
            ({"name": each.name, "version": each.version, **licences(each.metadata.json)} for each in distributions()),
            key=json.dumps,
        ),
        "debian": sorted(debian(), key=json.dumps),
    }
    print(json.dumps(found, sort_keys=True))  # noqa: T201 - its purpose


def licences(fields: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    """Return the licence entries of a distribution's metadata, under their own names."""
    return {name: fields[name] for name in ("license", "license_expression", "classifier") if name in fields}


def debian() -> list[dict[str, str | list[str]]]:
    """Return the installed Debian packages; none if the base is not Debian."""
    if not _DPKG.exists():
        return []
    packages = []
    for paragraph in _DPKG.read_text().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status") == "install ok installed":
            name = fields["Package"]
            packages.append(
                {
                    "name": name,
                    "version": fields["Version"],
                    "architecture": fields["Architecture"],
                    "source": fields.get("Source", name),
                    "licences": copyright_names(_DOCUMENTS / name / "copyright"),
                }
            )
    return packages


def copyright_names(file: Path) -> list[str]:
    """Return the licences' short names in a copyright file; none if it is missing or not machine-readable."""
    if not file.exists():
        return []
    return sorted(
        {name.strip() for name in re.findall(r"^License: *(.+)$", file.read_text("utf-8", "replace"), re.MULTILINE)}
    )


if __name__ == "__main__":
    main()
