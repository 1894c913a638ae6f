"""The chart of the previous release, from the git history."""

from collections.abc import Mapping
from pathlib import Path

from tools.commands import CommandError, run

# The commit of the chart that users have installed: each release sets it to the release before. A copy of the chart in
# the tree could differ from it.
COMMIT = "1ca138958a52a528399bfeaf0b23029d8e59ab09"
GIVEN = "PREVIOUS_CHART"


class HistoryError(CommandError):
    """The tree lacks the history that contains the chart of the previous release."""


def previous_chart(environ: Mapping[str, str], folder: Path, commit: str = COMMIT) -> Path:
    """Return the folder of the chart, unpacked below `folder`, or named by `PREVIOUS_CHART`.

    Raises `HistoryError` with instructions if the history is missing.
    """
    if given := environ.get(GIVEN, ""):
        chart = Path(given)
        if not (chart / "Chart.yaml").is_file():
            raise CommandError(f"{GIVEN}={given}: there is no chart in this folder")
        return chart
    try:
        run("git", "cat-file", "-e", f"{commit}:helm/Chart.yaml")
    except (CommandError, FileNotFoundError) as error:
        raise HistoryError(
            f"the chart of the previous release is that of the commit {commit}, which is not here. In a shallow clone,"
            f" `git fetch --unshallow` (or `git fetch --depth=1 origin {commit}`) brings it; in a tree without history,"
            f" {GIVEN}=folder names that chart, unpacked\n{error}"
        ) from error
    archive = folder / "previous.tar"
    run("git", "archive", f"--output={archive}", commit, "helm")
    run("tar", "--extract", f"--file={archive}", f"--directory={folder}")
    return folder / "helm"
