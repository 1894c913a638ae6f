"""Coverage-guided fuzzing of parsers with atheris.

Parsers of client bytes are compared with oracles (README.md beside this file).
"""
