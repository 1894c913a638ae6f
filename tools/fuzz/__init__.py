"""Coverage-guided fuzzing of parsers with atheris.

What parses bytes of clients is compared with oracles (README.md beside this file).
"""
