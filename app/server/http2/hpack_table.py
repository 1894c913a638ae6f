"""The tables of header compression (RFC 7541, 2.3), as far as one has to look into them."""

from hpack.table import HeaderTable


def newest(table: HeaderTable) -> object:
    """Give the entry that was added last: another one, or none, once something was added. Known by its identity."""
    entries = table.dynamic_entries
    return entries[0] if entries else None
