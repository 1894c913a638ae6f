"""The memory that a process takes, as the kernel counts it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SHARE: Final = re.compile(r"^(Pss\w*):\s+(\d+) kB$", re.MULTILINE)


def shares(pid: int) -> Mapping[str, int]:
    """Give the bytes that a process takes, of those that others take, too, its share: `Pss` all, `Pss_Anon` a kind.

    Raises `OSError` where there is no such process. https://docs.kernel.org/filesystems/proc.html (smaps_rollup)
    """
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {kind: int(kilobytes) << 10 for kind, kilobytes in _SHARE.findall(rollup)}
