"""Real gateways, several workers, concurrent callers: every history must be linearizable. `make proof` runs longer."""

from __future__ import annotations

import pytest

from tools.history.run import judge
from tools.history.setups import SETUPS, Setup

OPERATIONS_TOTAL = 2000


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup.name)
def test_nobody_reads_the_past(setup: Setup) -> None:
    """No read is older than the last answered write, values only go forward, what is deleted stays so, lists too, on
    any worker and replica, whatever is killed or lost; and the cache had its part in it."""
    verdict = judge(setup, OPERATIONS_TOTAL, seed=11)
    assert not verdict.violations, "\n".join(map(str, verdict.violations[:3]))
    assert verdict.hits_total > OPERATIONS_TOTAL / 10
    assert verdict.writes_total > OPERATIONS_TOTAL / 20
    counts = verdict.history.counts
    if setup.balanced:
        assert counts["replaced"] == 2
        assert not [name for name in counts if name.startswith("status 5")], counts
    if setup.troubled:
        assert counts["kills"]
        assert counts["write unknown"]
    else:
        assert counts["no answer"] == 0
