"""Our application as any WSGI server runs it, with nothing of the carrier: `gunicorn tests.bench.plain:application`."""

from app import application as applications
from app import identity, policy
from app.echo import Echo
from app.settings import Settings

_SETTINGS = Settings()

application = applications.echo(Echo(_SETTINGS, policy.read(_SETTINGS, identity.read({}))))
"""The application of the port that echoes, by the default settings."""
