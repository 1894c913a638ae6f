"""Build information that Go writes into a binary.

It consists of module, version, dependencies and build settings.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BuildInfo:
    """Output of `go version -m`. `settings` are the build flags and variables, such as CGO_ENABLED."""

    package: str
    module: str
    version: str
    dependencies: Mapping[str, str]
    settings: Mapping[str, str]


def build_info(go: str | Path, binary: Path) -> BuildInfo:
    """Return the build information of a binary. Raise `subprocess.CalledProcessError` if it has none."""
    output = subprocess.run([go, "version", "-m", binary], capture_output=True, text=True, check=True).stdout
    return parse(output)


def parse(output: str) -> BuildInfo:
    """Parse the output of `go version -m` for one binary."""
    package = module = version = ""
    dependencies: dict[str, str] = {}
    settings: dict[str, str] = {}
    replaced = ""
    for line in output.splitlines()[1:]:
        match line.strip().split("\t"):
            case ["path", path]:
                package = path
            case ["mod", path, number, *_]:
                module, version = path, number
            case ["dep", path, number, *_]:
                dependencies[path] = number
                replaced = path
            case ["=>", path, number, *_]:
                dependencies[replaced] = f"{path} {number}"
            case ["build", setting]:
                name, _, value = setting.partition("=")
                settings[name] = value
    return BuildInfo(package, module, version, dependencies, settings)
