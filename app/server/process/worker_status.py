"""Worker status shared with the arbiter: three flags in shared memory.

It is created before the fork.
"""

import mmap


class Standing:
    """Flags set by the worker (`serving`), and by the arbiter (the others).

    A `serving` worker accepts connections. A `replaced` worker stops while the service goes on: others serve in its
    place. It may drain without a limit, unless it is `awaited`.
    """

    def __init__(self) -> None:
        self._words = mmap.mmap(-1, 3)

    @property
    def serving(self) -> bool:
        """Whether the worker accepts connections."""
        return bool(self._words[0])

    @serving.setter
    def serving(self, value: bool) -> None:
        self._words[0] = value

    @property
    def replaced(self) -> bool:
        """Whether others serve in its place."""
        return bool(self._words[1])

    @replaced.setter
    def replaced(self, value: bool) -> None:
        self._words[1] = value

    @property
    def awaited(self) -> bool:
        """Whether another reload waits for its exit."""
        return bool(self._words[2])

    @awaited.setter
    def awaited(self, value: bool) -> None:
        self._words[2] = value
