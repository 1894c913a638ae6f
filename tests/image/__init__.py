"""Tests of the image, built and run by a container engine."""
