"""Content negotiation by the Accept header (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

ANY: Final = "*/*"

# RFC 9110, 12.5.1 and 12.4.2
_MEDIA_RANGE = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+/[!#$%&'*+\-.^_`|~0-9a-z]+")
QUALITY: Final = r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?"
_QUALITY_VALUE = re.compile(QUALITY)

# Maximum number of parsed elements of a header, which takes some milliseconds: a browser sends ten.
MAX_ELEMENTS: Final = 5000


class _MediaRange(NamedTuple):
    media_type: str
    quality: float


def negotiate_media_type(accept: str, offers: Sequence[str], default: str) -> str | None:
    """Return the media type of `offers` preferred by `accept`, `ANY` if any is accepted, or None if none is.

    `offers` are `type/subtype`, in the server's order; `default` is the one used for `ANY`. Of offers with the highest
    quality, one that is listed by name precedes one that is only covered by a range (`type/*`, `*/*`). After that the
    one listed earlier precedes, then the one offered earlier. Malformed elements are ignored, and the whole header if
    all its elements are malformed; parameters of media types, and elements after the first `MAX_ELEMENTS`, are ignored
    too.
    """
    if accept in {"", ANY} or not (ranges := tuple(_parse_ranges(accept))):
        return ANY
    candidates = [(*_rank(offer, ranges), -position, offer) for position, offer in enumerate(offers, 1)]
    if _rank(default, ranges) == (any_type := _rank_of_any(ranges)):  # else it is ranked by its own name
        candidates.append((*any_type, 0, ANY))
    quality, *_, offer = max(candidates)
    return str(offer) if quality else None


def _parse_ranges(accept: str) -> Iterator[_MediaRange]:
    for element in accept.lower().split(",", MAX_ELEMENTS)[:MAX_ELEMENTS]:
        media_type, *parameters = (part.strip() for part in element.split(";", MAX_ELEMENTS))
        quality = next((value.strip() for name, _, value in map(_partition, parameters) if name == "q"), "1")
        if _QUALITY_VALUE.fullmatch(quality) and _MEDIA_RANGE.fullmatch(media_type):
            yield _MediaRange(media_type, float(quality))


def _partition(parameter: str) -> tuple[str, str, str]:
    return parameter.partition("=")


def _rank(offer: str, ranges: Sequence[_MediaRange]) -> tuple[float, int, int]:
    """Return an offer's quality, the specificity of the range it matches, and that range's negated position."""
    for specificity, pattern in ((2, offer), (1, offer.partition("/")[0] + "/*")):
        for position, media_range in enumerate(ranges):
            if media_range.media_type == pattern:
                return media_range.quality, specificity, -position
    return _rank_of_any(ranges)


def _rank_of_any(ranges: Sequence[_MediaRange]) -> tuple[float, int, int]:
    return next(
        (
            (media_range.quality, 0, -position)
            for position, media_range in enumerate(ranges)
            if media_range.media_type == ANY
        ),
        (0.0, 0, 0),
    )
