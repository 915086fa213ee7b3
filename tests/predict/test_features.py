"""What is known of people at a cut-off, by hand, and that nothing after it is."""

from datetime import date, timedelta

import pandas as pd
import pytest

from orchestration.predict import features, openings
from orchestration.warehouse import database

CUTOFF = date(2026, 3, 3)  # two fortnights before the newest complete day


def test_features_by_hand(published):
    """One person, seen on the cut-off's day, 6, 7, 20, 27 and 40 days before it."""
    days = [(0, 4, 1, 2, 80, 1, 10), (6, 3, 1, 1, 50, 0, 0), (7, 2, 1, 0, None, 0, 0)]
    days += [(20, 5, 2, 0, None, 1, 7), (27, 1, 1, 0, None, 0, 0), (40, 100, 9, 9, 1, 9, 900)]
    with database.connect() as connection:
        connection.execute("truncate api.user_daily")
        for age, events, sessions, lessons, score, orders, revenue in days:
            connection.execute(
                "insert into api.user_daily values ('one', %s, %s, 1, %s, %s, %s, %s, %s)",
                [CUTOFF - timedelta(days=age), events, sessions, lessons, score, orders, revenue],
            )
        told = features.churn_features(connection, [CUTOFF]).loc[(CUTOFF, "one")]
    assert told.to_dict() == {
        "days_since_last_seen": 0,
        "tenure_days": 41,
        "active_days_7": 2,  # 0 and 6 days before
        "active_days_28": 5,
        "active_days_earlier": 1,
        "usual_gap_days": 40 / 5,
        "events_7": 7,
        "events_28": 15,
        "events_trend": 9 - 6,  # the last 14 days less the 14 before
        "sessions_28": 6,
        "lessons_completed_28": 3,
        "average_score_28": pytest.approx((2 * 80 + 50) / 3),
        "orders_28": 2,
        "revenue_28": 17,
    }


def test_no_row_after_the_cutoff_changes_a_feature(published):
    with database.connect() as connection:
        before = features.churn_features(connection, [CUTOFF - timedelta(days=14), CUTOFF])
        connection.execute("delete from api.user_daily where day > %s and user_id like 'u1%%'", [CUTOFF])
        connection.execute("update api.user_daily set events = 9999, revenue = 1e6 where day > %s", [CUTOFF])
        connection.execute(
            "insert into api.user_daily select user_id || '-new', day, 1, 1, 1, 1, 1, 1, 1 from api.user_daily "
            "where day > %s",
            [CUTOFF],
        )
        after = features.churn_features(connection, [CUTOFF - timedelta(days=14), CUTOFF])
    assert len(before) > 500
    pd.testing.assert_frame_equal(before, after)


def test_a_planted_leak_is_caught(published, churn_select):
    """The test above must fail for a view that looks one day past the cut-off."""
    leaking = churn_select("churn_features").replace("<= cutoffs.cutoff_date", "<= cutoffs.cutoff_date + 1")
    with database.connect() as connection:
        connection.execute(f"create or replace view views.churn_features as {leaking}")
        connection.commit()
    with pytest.raises(AssertionError):
        test_no_row_after_the_cutoff_changes_a_feature(published)


def test_labels_look_exactly_fourteen_days_ahead(published):
    with database.connect() as connection:
        connection.execute("truncate api.user_daily")
        for person, ahead in (("next day", 1), ("last day", 14), ("too late", 15), ("never", None)):
            for day in [CUTOFF] if ahead is None else [CUTOFF, CUTOFF + timedelta(days=ahead)]:
                connection.execute("insert into api.user_daily values (%s, %s, 1, 1, 1, 0, null, 0, 0)", [person, day])
        told = features.churn_labels(connection, features.churn_features(connection, [CUTOFF])).droplevel("cutoff")
    assert told.to_dict() == {"next day": 0, "last day": 0, "too late": 1, "never": 1}


def test_training_cutoffs_leave_room_before_and_after():
    cutoffs = features.training_cutoffs(date(2026, 1, 1), date(2026, 3, 31))
    assert cutoffs == [date(2026, 2, 3), date(2026, 2, 17), date(2026, 3, 3), date(2026, 3, 17)]
    assert cutoffs[0] - timedelta(days=27) >= date(2026, 1, 1)
    assert features.training_cutoffs(date(2026, 1, 1), date(2026, 2, 1)) == []


def test_rooms_whose_day_is_not_over_have_no_label_and_weeks_are_counted_back(published):
    with database.connect() as connection:
        known, labels = openings.known(connection)
        new = openings.recent(connection)
    assert "r0" in new.index and "r0" not in known.index.get_level_values("room_id")
    assert "r14" in known.index.get_level_values("room_id")  # 24.5 hours before the end
    assert known.index.get_level_values("cutoff").max() == date(2026, 3, 25)
    assert len(known) == len(labels) and labels.mean() == pytest.approx(0.5, abs=0.05)
