"""Benchmarks of echo beside other servers, in one run: `make bench`."""
