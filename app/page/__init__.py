"""The page for browsers: one request and who answers it, as a document that needs no script and no other resource."""

from app.page.document import FIELDS, page

__all__ = ["FIELDS", "page"]
