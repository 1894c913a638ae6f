"""`python -m tools.fuzz.one TARGET [OPTION...]`: fuzz one target.

atheris runs it; the options are libFuzzer's. https://github.com/google/atheris,
https://llvm.org/docs/LibFuzzer.html#options
"""

import sys

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore] # it is in an environment of its own

with atheris.instrument_imports(include=["app"]):
    from tools.fuzz.targets import TARGETS

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]].check)
    atheris.Fuzz()
