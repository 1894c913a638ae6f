"""`python -m app` starts the echo."""

import gc
import os
import sys

from app.server.process import signals

signals.begin()  # before the imports of the rest, which take most of the start
gc.disable()  # what is imported stays: looking whether it does took a tenth of them; see `app.bootstrap.Server.run`

from app.cli import main  # noqa: E402 - see above

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
