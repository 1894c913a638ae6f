"""URL of ECHO_OTLP_ENDPOINT."""

from urllib.parse import urlsplit

from app.http.text import quote_excerpt


def validate_endpoint(text: str) -> str:
    """Check an http or https URL and return it. Raise `ValueError` with a sentence if it is invalid."""
    try:
        url = urlsplit(text)
        is_valid = url.scheme in {"http", "https"} and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f"{quote_excerpt(text)} is not an http or https URL, such as http://collector:4318")
    return text
