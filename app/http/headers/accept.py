"""Which of the answers that there are a client prefers, by its Accept field (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

ANY: Final = "*/*"

# RFC 9110, 12.5.1 and 12.4.2
_RANGE = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+/[!#$%&'*+\-.^_`|~0-9a-z]+")
QUALITY: Final = r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?"
_QUALITY = re.compile(QUALITY)

# Of a field, elements that are looked at, in some milliseconds: what a browser sends has ten.
MOST_ELEMENTS: Final = 5000


class _Range(NamedTuple):
    media_type: str
    quality: float


def preferred(accept: str, offers: Sequence[str], default: str) -> str | None:
    """Give the media type of `offers` that `accept` prefers, `ANY` when any will do, or None when it takes none.

    `offers` are `type/subtype`, in the server's own order; `default` is the one that is given to who takes any. Of
    those with the highest quality, one that is named comes before one that is only covered (`type/*`, `*/*`), then the
    one that is named earlier, then the one that is offered earlier. An element that can't be read is passed over, and
    all of a field where no element can; so are a media type's parameters, and more elements than anybody means.
    """
    if accept in {"", ANY} or not (ranges := tuple(_ranges(accept))):
        return ANY
    ranked = [(*_rank(offer, ranges), -place, offer) for place, offer in enumerate(offers, 1)]
    if _rank(default, ranges) == (any_type := _rank_of_any(ranges)):  # else it is named, and weighed by its name
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
    """Give an offer's quality, how specific the range is that says so, and how early it stands."""
    for specificity, covering in ((2, offer), (1, offer.partition("/")[0] + "/*")):
        for place, each in enumerate(ranges):
            if each.media_type == covering:
                return each.quality, specificity, -place
    return _rank_of_any(ranges)


def _rank_of_any(ranges: Sequence[_Range]) -> tuple[float, int, int]:
    return next(((each.quality, 0, -place) for place, each in enumerate(ranges) if each.media_type == ANY), (0.0, 0, 0))
