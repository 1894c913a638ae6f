"""Tests of the Helm chart and the manifests: rendered and parsed."""
