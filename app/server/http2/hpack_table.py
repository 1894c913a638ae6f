"""Access to hpack's dynamic table (RFC 7541, 2.3)."""

from hpack.table import HeaderTable


def newest_entry(table: HeaderTable) -> object:
    """Return the newest entry or None, to compare by identity: it is another object once an entry was added."""
    entries = table.dynamic_entries
    return entries[0] if entries else None
