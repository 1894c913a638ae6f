"""How a worker stands with its arbiter: three words in memory that both have, made before the fork."""

import mmap


class Standing:
    """What the worker tells the arbiter (`serving`), and what the arbiter tells the worker (the others).

    A worker that is `serving` takes connections. One that is `replaced` ends while the echo goes on: others serve in
    its place. It may take its time for that, unless it is `awaited`.
    """

    def __init__(self) -> None:
        self._words = mmap.mmap(-1, 3)

    @property
    def serving(self) -> bool:
        """Whether it takes connections."""
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
        """Whether somebody waits for its end."""
        return bool(self._words[2])

    @awaited.setter
    def awaited(self, value: bool) -> None:
        self._words[2] = value
