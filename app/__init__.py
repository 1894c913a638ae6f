"""echo: a small HTTP service that shows people exactly what arrived."""

# The one place of the version. The image's tag, the chart and the manifests are compared with it by tests.
__version__ = "0.1.0"
