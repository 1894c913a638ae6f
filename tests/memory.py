"""Memory of a process, as the kernel counts it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SHARE: Final = re.compile(r"^(Pss\w*):\s+(\d+) kB$", re.MULTILINE)


def shares(pid: int) -> Mapping[str, int]:
    """Return the memory of a process in bytes, with its share of shared memory: `Pss` for all, `Pss_Anon` for a kind.

    Raise `OSError` if there is no such process. https://docs.kernel.org/filesystems/proc.html (smaps_rollup)
    """
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {kind: int(kilobytes) << 10 for kind, kilobytes in _SHARE.findall(rollup)}
