"""Programs around the service that are no tests: benchmarks, fuzzing, checks, generators, and how they are built."""
