"""The chart's archive, reproducible: the same bytes for the same commit.

`make chart` runs `python -m tools.chart.packaging`. Helm 3 sets the time of the files in it to the time of packaging,
Helm 4 to SOURCE_DATE_EPOCH. So the archive is written again with that time, whichever Helm made it.
"""

import gzip
import io
import os
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.chart.rendering import CHART, helm


def package(folder: Path, time: int, chart: Path = CHART) -> Path:
    """Build a chart's archive in a folder, with this modification time in seconds since 1970; return its path."""
    with tempfile.TemporaryDirectory() as made:
        helm("package", str(chart), "--destination", made)
        (archive,) = Path(made).iterdir()
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / archive.name
        target.write_bytes(at(archive.read_bytes(), time))
    return target


def at(archive: bytes, time: int) -> bytes:
    """Return a compressed archive with all of its times set, and without owners and permissions of its maker."""
    written = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as before,
        gzip.GzipFile(fileobj=written, mode="wb", mtime=time, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as after,
    ):
        for member in before:
            plain = tarfile.TarInfo(member.name)
            plain.size, plain.mtime, plain.mode = member.size, time, 0o644
            after.addfile(plain, before.extractfile(member))
    return written.getvalue()


def main() -> None:
    """Build the archive, and print its path."""
    print(package(Path(sys.argv[1]), int(os.environ["SOURCE_DATE_EPOCH"])))  # noqa: T201 - what make shows


if __name__ == "__main__":
    main()
