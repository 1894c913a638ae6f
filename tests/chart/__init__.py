"""The chart and the manifests, rendered and read."""
