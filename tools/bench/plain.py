"""Our application on any WSGI server other than our own.

`gunicorn tools.bench.plain:application`.
"""

from app.config import downward_api, policy
from app.config.settings import Settings
from app.echo import routes as applications
from app.echo.handler import EchoHandler

_SETTINGS = Settings()

application = applications.echo_app(
    EchoHandler(_SETTINGS, policy.build_policy(_SETTINGS, downward_api.read_pod_info({})))
)
"""The application of the port that echoes, by the default settings."""
