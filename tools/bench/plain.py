"""Our application on any WSGI server other than our own.

`gunicorn tools.bench.plain:application`.
"""

from app.config import downward_api, policy
from app.config.settings import Settings
from app.echo import routes as applications
from app.echo.handler import Echo

_SETTINGS = Settings()

application = applications.echo(Echo(_SETTINGS, policy.read(_SETTINGS, downward_api.read({}))))
"""The application of the port that echoes, by the default settings."""
