# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When backups are made: what the words mean, and that no two environments need begin at once."""

from __future__ import annotations

import pytest
from ansible_collections.aiia.bulkhead.plugins.plugin_utils.declaration.schedules import Times, times


def test_words() -> None:
    for text in ("hourly", "2h", "6h", "12h", "daily", "weekly", "03:30", "3:30", "23:59"):
        found = times(text, "aiia_prod")
        assert 0 <= found.minute < 60 and all(0 <= hour < 24 for hour in found.hours)
        assert found == times(text, "aiia_prod")
        assert found.weekly == (text == "weekly")
    assert len(times("hourly", "a").hours) == 24 and len(times("6h", "a").hours) == 4
    assert all(1 <= times("daily", f"p{number}").hours[0] < 5 for number in range(200))


def test_a_time_is_kept_within_the_hour_after_it() -> None:
    found = {
        (schedule.hours[0] * 60 + schedule.minute)
        for schedule in (times("23:30", f"p{number}") for number in range(500))
    }
    assert found == {minute % 1440 for minute in range(23 * 60 + 30, 24 * 60 + 30)}


def test_environments_are_spread() -> None:
    assert len({times("daily", f"aiia_{number}") for number in range(100)}) > 60


@pytest.mark.parametrize("text", ["5h", "0h", "24:00", "1:60", "nightly", "* * * * *", "daily\n", "-1h"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a schedule: use hourly"):
        times(text, "aiia_prod")


def test_as_cron_and_systemd_write_it() -> None:
    nightly = Times(7, (3,))
    assert (nightly.cron, nightly.calendar) == ("7 3 * * *", "*-*-* 03:07:00")
    sundays = Times(7, (3,), True)
    assert (sundays.cron, sundays.calendar) == ("7 3 * * 0", "Sun *-*-* 03:07:00")
    hourly = Times(59, tuple(range(24)))
    assert (hourly.cron, hourly.calendar) == ("59 * * * *", "*-*-* *:59:00")
    assert Times(5, (1, 13)).cron == "5 1,13 * * *" and Times(5, (1, 13)).calendar == "*-*-* 01,13:05:00"
