"""Entry point of `python -m app`."""

import gc
import os
import sys

from app.server.process import signals

signals.install_startup_handlers()  # before the other imports, which take most of the startup time
gc.disable()  # imported objects stay, and checking them took a tenth of the imports; see `EchoApplication.run`

from app.cli import main  # noqa: E402 - see above

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
