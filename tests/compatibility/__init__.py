"""Tests of the chart and k8s/ with every supported Helm and kustomize."""
