"""Content negotiation by the Accept header (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

ANY: Final = "*/*"

# RFC 9110, 12.5.1 and 12.4.2
_RANGE = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+/[!#$%&'*+\-.^_`|~0-9a-z]+")
QUALITY: Final = r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?"
_QUALITY = re.compile(QUALITY)

# Maximum number of parsed elements of a header, which takes some milliseconds: a browser sends ten.
MOST_ELEMENTS: Final = 5000


class _Range(NamedTuple):
    media_type: str
    quality: float


def preferred(accept: str, offers: Sequence[str], default: str) -> str | None:
    """Return the media type of `offers` preferred by `accept`, `ANY` if any is accepted, or None if none is.

    `offers` are `type/subtype`, in the server's order; `default` is the one used for `ANY`. Of offers with the highest
    quality, one that is listed by name precedes one that is only covered by a range (`type/*`, `*/*`). After that the
    one listed earlier precedes, then the one offered earlier. Malformed elements are ignored, and the whole header if
    all its elements are malformed; parameters of media types, and elements after the first `MOST_ELEMENTS`, are ignored
    too.
    """
    if accept in {"", ANY} or not (ranges := tuple(_ranges(accept))):
        return ANY
    ranked = [(*_rank(offer, ranges), -place, offer) for place, offer in enumerate(offers, 1)]
    if _rank(default, ranges) == (any_type := _rank_of_any(ranges)):  # else it is ranked by its own name
        ranked.append((*any_type, 0, ANY))
    quality, *_, offer = max(ranked)
    return str(offer) if quality else None


def _ranges(accept: str) -> Iterator[_Range]:
    for element in accept.lower().split(",", MOST_ELEMENTS)[:MOST_ELEMENTS]:
        media_type, *parameters = (part.strip() for part in element.split(";", MOST_ELEMENTS))
        quality = next((value.strip() for name, _, value in map(_partition, parameters) if name == "q"), "1")
        if _QUALITY.fullmatch(quality) and _RANGE.fullmatch(media_type):
            yield _Range(media_type, float(quality))


def _partition(parameter: str) -> tuple[str, str, str]:
    return parameter.partition("=")


def _rank(offer: str, ranges: Sequence[_Range]) -> tuple[float, int, int]:
    """Return an offer's quality, the specificity of the range it matches, and that range's negated position."""
    for specificity, covering in ((2, offer), (1, offer.partition("/")[0] + "/*")):
        for place, each in enumerate(ranges):
            if each.media_type == covering:
                return each.quality, specificity, -place
    return _rank_of_any(ranges)


def _rank_of_any(ranges: Sequence[_Range]) -> tuple[float, int, int]:
    return next(((each.quality, 0, -place) for place, each in enumerate(ranges) if each.media_type == ANY), (0.0, 0, 0))
