"""A load tool at work: what it has said in the end, and what the server used while it measured."""

import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Final

from msgspec import Struct

from tools.bench import load, processes, told
from tools.bench.asked import Request
from tools.bench.load import Load
from tools.bench.told import Loaded

_LONGEST: Final = 20.0  # seconds: what has not ended by then does not end


class Made(Struct, frozen=True):
    """How load is made: a command, what reads what it has said, and between which of its lines it measures, or all."""

    command: list[str]
    read: Callable[[str], Loaded]
    begins: Callable[[str], bool] | None = None
    ends: Callable[[str], bool] | None = None


def made(where: str, request: Request, how: Load, folder: Path) -> Made:
    """Give how a load is made by the tool that knows its way; what the tool reads and writes is in the folder."""
    if load.by_h2load(how.way):
        log = folder / "requests.log"
        log.unlink(missing_ok=True)
        return Made(
            load.h2load(how, where, request, log),
            lambda said: told.by_h2load(said, log.read_text(encoding="ascii")),
            told.h2load_begins,
            told.h2load_ends,
        )
    scripted = folder / "asked.lua"
    scripted.write_text(load.script(request, how), encoding="ascii")
    return Made(load.wrk(how, where, scripted), told.by_wrk)


def run(tool: Made, cores: Sequence[int], server: int) -> tuple[str, float]:
    """Run a tool on these processors to its end; give what it has said, and the server's CPU while it measured.

    `server` is the id of the first process of it, whose children are counted, too.
    """
    cpu = partial(processes.cpu_seconds, server)
    began, over, said = cpu(), None, ""
    with subprocess.Popen(
        processes.on(cores, tool.command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        too_late = Timer(_LONGEST, processes.end, [process])
        too_late.start()
        try:
            for line in process.stdout:
                said += line
                if tool.begins and tool.begins(line):
                    began = cpu()
                elif tool.ends and tool.ends(line):
                    over = cpu()
            over = over or cpu()
        except BaseException:
            processes.end(process)
            raise
        finally:
            too_late.cancel()
    return said, over - began
