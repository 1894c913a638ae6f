"""Go modules as folders of files: what others publish beside their code, such as the schemas of their objects."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.toolchain.__main__ import ToolError


def module(path: str, version: str, environ: Mapping[str, str]) -> Path:
    """Give the folder of a Go module, got and checked by Go when it is not there. Raises `ToolError`."""
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise ToolError(f"{path} {version} is needed: install Go 1.26 or newer to have it fetched")
    command = [go, "mod", "download", "-json", f"{path}@{version}"]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    # What went wrong is told in the JSON, or beside it where Go could not even begin.
    told = json.loads(done.stdout or "{}")
    if done.returncode or "Dir" not in told:
        raise ToolError(f"{path} {version} could not be had: {told.get('Error') or done.stderr.strip()}")
    return Path(told["Dir"])
