"""The carrier: a gunicorn worker class that knows the wire. `gunicorn -k app.carrier.Worker`."""

from app.carrier.worker import Worker

__all__ = ["Worker"]
