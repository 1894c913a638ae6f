"""echo: a small HTTP service that shows exactly what it received."""

# The only place of the version. Tests compare the image's tag, the chart and the manifests with it.
__version__ = "0.1.0"
