"""What an expression of PromQL looks at: metrics, labels and their values, held against those that the echo has."""

from collections.abc import Iterator
from typing import Final

import promql_parser
from promql_parser import AggregateExpr, Expr, MatchOp, VectorSelector

from app.http.observer import APPLICATION_FAILED, WEBSOCKET
from app.telemetry.metrics import FAMILIES, Family

# Labels that a target has by the Prometheus operator, and so each of its series; and a metric of Prometheus' own.
TARGET: Final = frozenset({"container", "endpoint", "instance", "job", "namespace", "pod"})
UP: Final = "up"
_BUCKET: Final = "_bucket"
# Values of the echo's labels that are asked for, as far as they are words of its own.
_WORDS: Final = {"reason": {APPLICATION_FAILED}, "protocol": {WEBSOCKET}}


def mistakes(promql: str) -> list[str]:
    """Give what of an expression there is not: metrics, labels, words. Raises `ValueError` for what is no PromQL."""
    expression = promql_parser.parse(promql)
    found = [mistake for selector in selectors(expression) for mistake in _of_selector(selector)]
    return found + [mistake for aggregate in _aggregates(expression) for mistake in _of_aggregate(aggregate)]


def metrics(promql: str) -> set[str]:
    """Give the names of the families that an expression looks at, and of what it has from Prometheus."""
    names = (selector.name or "" for selector in selectors(promql_parser.parse(promql)))
    return {family.name if (family := _family(name)) else name for name in names}


def grouped_by(promql: str) -> set[str]:
    """Give the labels that the results of an expression have: those of its aggregations."""
    aggregates = list(_aggregates(promql_parser.parse(promql)))
    return {label for each in aggregates if each.modifier for label in each.modifier.labels}


def selectors_of(promql: str) -> list[VectorSelector]:
    """Give each selector of an expression that is text."""
    return list(selectors(promql_parser.parse(promql)))


def selectors(expression: Expr) -> Iterator[VectorSelector]:
    """Give each selector of an expression."""
    return (node for node in _nodes(expression) if isinstance(node, VectorSelector))


def _nodes(expression: Expr) -> list[Expr]:
    nodes: list[Expr] = []
    promql_parser.walk(expression, nodes.append)
    return nodes


def _aggregates(expression: Expr) -> Iterator[AggregateExpr]:
    return (node for node in _nodes(expression) if isinstance(node, AggregateExpr))


def _family(name: str) -> Family | None:
    """Give the family that a series is of: of a histogram it has a suffix."""
    whole = name.removesuffix(_BUCKET).removesuffix("_sum").removesuffix("_count")
    if (family := FAMILIES.get(whole)) and (family.kind == "histogram") == (whole != name):
        return family
    return None


def _labels(name: str) -> frozenset[str]:
    family = _family(name)
    own = {*family.labels, *({"le"} if name.endswith(_BUCKET) else ())} if family else set()
    return TARGET | own


def _of_selector(selector: VectorSelector) -> Iterator[str]:
    name = selector.name or ""
    if name != UP and _family(name) is None:
        yield f"no metric is called {name!r}"
    for matcher in selector.matchers.matchers:
        if matcher.name not in _labels(name):
            yield f"{name} has no label {matcher.name}"
        words = _WORDS.get(matcher.name, {matcher.value})
        if matcher.op in (MatchOp.Equal, MatchOp.NotEqual) and matcher.value not in words:
            yield f"{matcher.name} is never {matcher.value!r}"


def _of_aggregate(aggregate: AggregateExpr) -> Iterator[str]:
    named = set(aggregate.modifier.labels) if aggregate.modifier else set()
    for selector in selectors(aggregate.expr):
        for label in sorted(named - _labels(selector.name or "")):
            yield f"{selector.name} has no label {label} to group by"
