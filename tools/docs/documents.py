"""Generate the tables of README.md (`python -m tools.docs.documents`)."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from app.config.formats import BARE
from app.config.settings import Settings
from app.config.settings_table import NOTATION, groups
from app.echo.controls.definitions import CONTROLS, Control
from app.echo.formats.dialects.registry import DIALECTS
from app.echo.formats.renderers import media_types
from app.echo.openapi.field_docs import FIELD_DESCRIPTIONS
from app.echo.reflection.body import ReflectedBody
from app.echo.reflection.model import Reflection
from app.telemetry.metrics import FAMILIES
from tools.bench import kept, pictures, scaling
from tools.commands import ROOT

README: Final = ROOT / "README.md"

# Descriptions of the response formats; a format without one can't be written into the table.
FORMS: Final = {
    BARE: "`<b>Got: PATH</b>!`: the path without its leading slash, percent-decoded, escaped for HTML, bytes that are"
    " not UTF-8 as U+FFFD",
    "html": "a page for browsers: the same bold line, then the request, its route and the pod",
    "json": "the reflection, below",
    "text": "the request as on the wire: request line, headers, empty line, the first 64 KiB of the body; for HTTP/2"
    " its headers, one per line",
    "yaml": "the reflection, as YAML",
    "events": "server-sent events: one reflection per second, five of them or as many as `echo_count` says",
    "gateway-api": "the Gateway API's echo-basic, whose JSON its conformance client reads; `/status/NNN`, `?delay=`,"
    " `X-Echo-Set-Header`",
    "whoami": "Traefik's whoami, as text; `/api`, `/data`, `/bench`, `/health`, `?wait=`",
    "echoserver": "the text of Kubernetes' echoserver",
}
# Members of the body in the reflection that its own row does not mention.
_OF_THE_BODY: Final = ("decoded", "json", "form", "multipart")
_PLACE: Final = r"(<!-- {name}: [^>]* -->\n).*?(<!-- end of {name} -->)"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    lines += [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def answers() -> str:
    """Return the table of response formats, each with the request that selects it."""
    rows = [("no particular type, as curl", f"`{BARE}`", FORMS[BARE])]
    rows += [(f"`Accept: {media_type}`", f"`{name}`", FORMS[name]) for media_type, name in media_types()]
    return _table(("requested by", "or by `echo_format`", "response"), rows)


def dialects() -> str:
    """Return the table of other echo servers whose responses this one can produce."""
    return _table(("`ECHO_DIALECT`", "emulates"), [(f"`{name}`", FORMS[name]) for name in DIALECTS])


def controls() -> str:
    """Return the table of controls, with the limits of the default settings."""
    return _table(
        ("name", "effect", "value", "example"),
        [
            (_names(control), control.description, control.describe_limit(Settings()), f"`{control.example}`")
            for control in CONTROLS
        ],
    )


def _names(control: Control) -> str:
    names = " or ".join(f"`{name}`" for name in (control.name, *control.aliases))
    return f"{names}, repeatable" if control.repeatable else names


def reflection() -> str:
    """Return the table of the reflection's members."""
    rows: list[tuple[str, str]] = []
    for name, meaning in FIELD_DESCRIPTIONS[Reflection].items():
        rows.append((f"`{name}`", meaning))
        if name == "body":
            rows += [(f"`body.{each}`", FIELD_DESCRIPTIONS[ReflectedBody][each]) for each in _OF_THE_BODY]
    return _table(("field", "content"), rows)


def settings() -> str:
    """Return the settings, a table for each group, after the notation of their values."""
    return f"{NOTATION}\n\n" + "\n\n".join(
        f"{name}:\n\n"
        + _table(
            ("variable", "default", "meaning"),
            [(f"`{variable}`", f"`{default}`", meaning) for variable, default, meaning in members],
        )
        for name, members in groups()
    )


def metrics() -> str:
    """Return the table of metrics."""
    rows = [
        (f"`{family.name}`", family.kind, ", ".join(f"`{label}`" for label in family.labels), family.help)
        for family in FAMILIES.values()
    ]
    return _table(("metric", "kind", "labels", "description"), rows)


def performance() -> str:
    """Return the measurements of the stored benchmark runs."""
    return kept.documented(kept.runs())


def curves() -> str:
    """Return the curves of the stored run that has pictures, as pictures."""
    return pictures.documented(kept.runs()[kept.drawn()].curves, ROOT)


def scale() -> str:
    """Return the stored measurement of throughput by pods."""
    return scaling.documented(scaling.read(scaling.KEPT))


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "answers": answers,
    "reflection": reflection,
    "controls": controls,
    "dialects": dialects,
    "settings": settings,
    "metrics": metrics,
    "performance": performance,
    "curves": curves,
    "scale": scale,
}


def written(text: str) -> str:
    """Return the README's text with every table up to date.

    Raise `ValueError` if one does not have exactly one place.
    """
    for name, table in TABLES.items():
        place = re.compile(_PLACE.format(name=name), re.DOTALL)
        if len(place.findall(text)) != 1:
            raise ValueError(f"the text has not one place for {name}: a comment before and a comment behind it")
        text = place.sub(partial(_between, f"\n{table()}\n\n"), text)
    return text


def _between(made: str, place: re.Match[str]) -> str:
    return place[1] + made + place[2]


def main() -> None:
    """Write the tables."""
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
