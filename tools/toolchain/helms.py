"""Helm releases that render the chart in `make test-chart`, oldest first.

Helm is not one program: its releases validate values with different JSON Schema libraries, and one that accepts a
schema proves nothing about the next. So each row is built from its own module, and a test reads the library out of the
binary.
"""

from dataclasses import dataclass
from typing import Final

_GOJSONSCHEMA: Final = "github.com/xeipuuv/gojsonschema"
_JSONSCHEMA: Final = "github.com/santhosh-tekuri/jsonschema/v6"


@dataclass(frozen=True)
class Release:
    """A published Helm, with the Go module and version of its JSON Schema library."""

    version: str
    json_schema: tuple[str, str]

    @property
    def package(self) -> str:
        """Return the main package for `go install`."""
        return f"helm.sh/helm/v{self.version.partition('.')[0]}/cmd/helm"


# The last patch release of each chosen minor version that the Go module proxy serves.
RELEASES: Final = (
    Release("3.14.4", (_GOJSONSCHEMA, "v1.2.0")),
    Release("3.17.4", (_GOJSONSCHEMA, "v1.2.0")),
    Release("3.19.5", (_JSONSCHEMA, "v6.0.2")),
    Release("3.21.4", (_JSONSCHEMA, "v6.0.2")),
    Release("3.22.0", (_JSONSCHEMA, "v6.0.3")),
    Release("4.0.5", (_JSONSCHEMA, "v6.0.2")),
    Release("4.1.4", (_JSONSCHEMA, "v6.0.2")),
    Release("4.2.4", (_JSONSCHEMA, "v6.0.2")),
    Release("4.3.2", (_JSONSCHEMA, "v6.0.3")),
)
