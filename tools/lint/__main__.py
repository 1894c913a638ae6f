"""`python -m tools.lint [NAME...]`: run the checks in parallel.

It reports all that fail; with names, it runs only the named checks.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from tools.commands import ROOT, CommandError, run, say_to_stderr
from tools.lint import conformity, identifiers, risks, wording
from tools.lint.rendered import CHART, render, value_sets
from tools.toolchain.__main__ import TOOLS, ToolError, find

# Most checks are CPU-bound, so running more of them at once than there are processors only slows each down.
_AT_ONCE = max(2, os.cpu_count() or 2)

# The rendering of the values that try every option, including those of other containers, which nobody is meant to run.
_NOT_ADVICE = ("chart-all",)

Check = Callable[[], object]
Tool = Callable[[str], Path]


def checks(environ: Mapping[str, str]) -> dict[str, Check]:
    """Return every check by its name, those that take longest first. Each raises `CommandError` or `ToolError`."""
    in_venv = Path(sys.executable).parent
    tool = partial(_tool, environ)
    by_name: dict[str, Check] = {
        "checkov": partial(_checkov, tool),
        "mypy": partial(run, in_venv / "mypy", deadline=600),
        "shellcheck": lambda: run(
            in_venv / "shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *shell_scripts()
        ),
        "ruff check": partial(run, in_venv / "ruff", "check", "--quiet"),
        "ruff format": partial(run, in_venv / "ruff", "format", "--check", "--quiet"),
        "wording": lambda: wording.check(tracked()),
        "identifiers": lambda: identifiers.check(tracked("*.py")),
        "import-linter": partial(run, in_venv / "lint-imports", "--no-cache", "--no-logo"),
        "yamllint": lambda: run(in_venv / "yamllint", "--strict", *tracked("*.yaml", "*.yml", ".yamllint")),
        "hadolint": partial(run, in_venv / "hadolint", "Dockerfile"),
        "helm lint": partial(_helm_lint, tool),
    }
    for kubernetes, what in conformity.claims().items():
        by_name[f"kubeconform {kubernetes}"] = partial(_kubeconform, tool, kubernetes, what, environ)
    return by_name


def failures(checks: Mapping[str, Check]) -> dict[str, str]:
    """Run checks in parallel; return the messages of those that failed, by their names, in the given order."""
    said: dict[str, str] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = {pool.submit(check): name for name, check in checks.items()}
        for done in as_completed(running):
            error = done.exception()
            if isinstance(error, CommandError | ToolError):
                said[running[done]] = str(error)
            elif error:
                raise error
    return {name: said[name] for name in checks if name in said}


def tracked(*patterns: str) -> list[str]:
    """Return the files that git tracks, or would add, by patterns of names; deleted files are omitted."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", *patterns)
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def shell_scripts() -> list[str]:
    """Return the scripts that bash runs, by their first line: most have no suffix."""
    return [name for name in tracked() if b"bash" in _first_line(ROOT / name)]


def _first_line(file: Path) -> bytes:
    with file.open("rb") as opened:
        line = opened.readline(100)
    return line if line.startswith(b"#!") else b""


def _tool(environ: Mapping[str, str], name: str) -> Path:
    return find(TOOLS[name], environ)


def _helm_lint(tool: Tool) -> None:
    # A Helm built by `go install` may assume Kubernetes 1.20, which the chart rejects.
    kubernetes = ("--kube-version", conformity.newest())
    for flags in value_sets().values():
        run(tool("helm"), "lint", "--strict", "--quiet", CHART, *kubernetes, *flags)


def _kubeconform(tool: Tool, kubernetes: str, what: Collection[str], environ: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = render(tool("helm"), tool("kustomize"), kubernetes, what, Path(folder))
        conformity.judge(tool("kubeconform"), kubernetes, files, environ)


def _checkov(tool: Tool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = render(tool("helm"), tool("kustomize"), conformity.newest(), ("chart", "k8s"), Path(folder))
        risks.judge([*(file for file in files if file.stem not in _NOT_ADVICE), ROOT / "Dockerfile"])


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the named checks, or all. Return the exit code."""
    began = time.monotonic()
    all_checks = checks(environ)
    unknown = [name for name in arguments if name not in all_checks]
    if unknown:
        say_to_stderr(f"no check is called {', '.join(unknown)}; there are: {', '.join(all_checks)}")
        return 2
    try:
        # Built one after the other, because a build uses every processor.
        for name in ("helm", "kubeconform", "kustomize"):
            find(TOOLS[name], environ)
    except ToolError as error:
        say_to_stderr(str(error))
        return 1
    chosen = arguments or list(all_checks)
    failed = failures({name: all_checks[name] for name in chosen})
    for name, said in failed.items():
        say_to_stderr(f"\n== {name}\n{said.strip()}")
    if failed:
        say_to_stderr(f"\n{len(failed)} of {len(chosen)} checks failed: {', '.join(failed)}")
    else:
        say_to_stderr(f"{len(chosen)} checks passed in {time.monotonic() - began:.0f} s")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
