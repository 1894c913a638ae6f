"""YAML renderer of the reflection."""

import re
from typing import Any, Final

import yaml

# Cost above which the output is in YAML's flow style, which is JSON (YAML 1.2, 1.3). In block style PyYAML takes some
# 5 microseconds for a value, and as much for a few of its characters; 64 KiB of a query may have 30,000 values.
_MAX_BLOCK_COST: Final = 2000
_CHARACTERS_PER_COST: Final = 16  # of a string, which cost as much as one value
# Characters that are valid in JSON, but invalid in YAML (YAML 1.2, 5.1) or a line break there (YAML 1.1, 4.1.4).
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which also escapes the characters that a parser would read as others."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Return the node of a string: in double quotes, which allow escapes, if a character must be escaped."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, '"' if _ESCAPED.search(text) else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def encode_yaml(json: bytes, value: Any) -> bytes:
    """Encode a value as YAML; `json` is the same value encoded as JSON. Lists and objects keep their order."""
    if _costs_more_than(value, _MAX_BLOCK_COST):
        return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", json.decode()).encode()
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=2**30)
    return text.encode()


def _costs_more_than(value: Any, limit: int) -> bool:
    """Return whether a value costs more than `limit`; counting stops there."""
    stack, cost = [value], 0
    while stack and cost <= limit:
        item = stack.pop()
        cost += 1
        if isinstance(item, str):
            cost += len(item) // _CHARACTERS_PER_COST
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return cost > limit
