"""Throughput by pods, and the extrapolation from it."""

import re

import pytest

from tools.bench import scaling
from tools.bench.results import Machine
from tools.bench.scaling import Scale, Step
from tools.commands import ROOT


def measured(*cpus: float) -> Scale:
    """Return a measurement of 1, 2, 4 ...

    pods with this CPU per request, each of which serves a thousand per second.
    """
    steps = [
        Step(1 << n, [1000.0 * (1 << n), 1.0, 10_000.0 * (1 << n)], [cpu, cpu, 1.0], [0.1] * 3, [0.1] * 3)
        for n, cpu in enumerate(cpus)
    ]
    return Scale(Machine(2, "some CPU", "3.13", "6.1", 0.5), "2026-11-24T19:00:00+00:00", "GET", 64, 0.2, steps)


@pytest.mark.parametrize(
    ("rate", "cpu", "cores", "pods"),
    [(1_000_000, 100e-6, 100.0, 125), (1_000_000, 80e-6, 80.0, 100), (1, 100e-6, 100e-6, 1), (8000, 100e-6, 0.8, 1)],
)
def test_a_rate_takes_its_cores_and_pods_of_which_each_keeps_a_fifth_free(
    rate: float, cpu: float, cores: float, pods: int
) -> None:
    """Each pod has a fifth of its cores free, as with the autoscaler."""
    assert scaling.cores_for(rate, cpu) == pytest.approx(cores)
    assert scaling.pods_for(rate, cpu) == pods


def test_the_target_is_the_charts() -> None:
    """The target is equal to the chart's, which is the definition."""
    values = (ROOT / "helm" / "values.yaml").read_text(encoding="utf-8")
    (percent,) = re.findall(r"targetCPUUtilizationPercentage: (\d+)", values)
    assert int(percent) / 100 == scaling.TARGET


@pytest.mark.parametrize(
    ("cpus", "flat"),
    [((100.0, 119.0, 81.0), True), ((100.0, 100.0, 121.0), False), ((100.0, 79.0, 100.0), False)],
)
def test_the_cost_of_a_request_is_flat_within_a_fifth_of_that_of_the_least_pods(
    cpus: tuple[float, ...], *, flat: bool
) -> None:
    """A cost that differs by more than a fifth, with any number of pods, is not flat."""
    scale = measured(*(cpu * 1e-6 for cpu in cpus))
    assert scaling.is_flat(scale.steps) is flat
    assert ("did not stay the same" in scaling.documented(scale)) is not flat


def test_medians_are_told_and_what_follows_from_those_of_the_most_pods() -> None:
    """A million requests per second at 125 microseconds are 125 cores, and 157 pods that are four fifths busy."""
    told = scaling.documented(measured(100e-6, 125e-6))
    assert "| 2 | 2,000 | 2.00 | 125 µs |" in told
    assert "serves 8,000 of them a second at most, 6,400 when" in told
    assert "| 1,000,000 | 125.0 | 157 |" in told
