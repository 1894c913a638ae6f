"""Programs around the service: benchmarks, fuzzing, checks, generators.

Also the programs that tests need, and how they are built. None of them is a test.
"""
