"""The chart as an archive, the same bytes for the same commit: `make chart` runs `python -m tools.chart.packaging`.

Helm 3 gives the files in it the time of the packaging, Helm 4 that of SOURCE_DATE_EPOCH; here the archive is written
anew with that time, whichever Helm made it.
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
    """Make a chart's archive in a folder, its files of this time, in seconds since 1970; give its path."""
    with tempfile.TemporaryDirectory() as made:
        helm("package", str(chart), "--destination", made)
        (archive,) = Path(made).iterdir()
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / archive.name
        target.write_bytes(at(archive.read_bytes(), time))
    return target


def at(archive: bytes, time: int) -> bytes:
    """Give a compressed archive with all of its times set, and with nobody's name and rights in it."""
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
    """Make it, and say where it is."""
    print(package(Path(sys.argv[1]), int(os.environ["SOURCE_DATE_EPOCH"])))  # noqa: T201 - what make shows


if __name__ == "__main__":
    main()
