"""The chart and k8s/ with every supported release of the tools that people use."""
