"""Fuzzing: what takes bytes of others, held against oracles, coverage-guided by atheris (README.md beside this)."""
