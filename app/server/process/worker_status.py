"""Worker status shared with the arbiter: a flag in shared memory.

It is created before the fork.
"""

import mmap


class WorkerStatus:
    """Status of a worker, set by the worker and read by the arbiter."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)

    @property
    def accepting(self) -> bool:
        """Whether the worker accepts connections."""
        return bool(self._memory[0])

    @accepting.setter
    def accepting(self, value: bool) -> None:
        self._memory[0] = value
