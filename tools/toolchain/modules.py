"""Go modules as folders: files published beside code, such as schemas."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.toolchain.__main__ import ToolError


def module(path: str, version: str, environ: Mapping[str, str]) -> Path:
    """Return the folder of a Go module, downloaded and verified by Go if it is missing.

    Raise `ToolError` if that fails.
    """
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        raise ToolError(f"{path} {version} is needed: install Go 1.26 or newer to have it fetched")
    command = [go, "mod", "download", "-json", f"{path}@{version}"]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False)
    # The error is in the JSON, or on stderr if Go could not even start the download.
    told = json.loads(done.stdout or "{}")
    if done.returncode or "Dir" not in told:
        raise ToolError(f"{path} {version} could not be had: {told.get('Error') or done.stderr.strip()}")
    return Path(told["Dir"])
