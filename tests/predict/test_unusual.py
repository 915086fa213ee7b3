"""Why an hour was unusual, which rooms will match, and who behaves unlike others: stored with their reasons."""

import numpy as np
import pytest

from orchestration.predict import predict, train
from orchestration.warehouse import database

HOUR = "2026-03-25 14:00+00"


def test_what_is_unusual_is_stored_with_its_reasons(published):
    with database.connect() as connection:
        # nobody asks for /learn in one hour
        of_hour = "from api.metric_hourly where metric = 'requests' and segment = 'endpoint=/learn' and hour = %s"
        connection.execute(
            f"update api.metric_hourly set value = value - (select value {of_hour}) "
            "where metric = 'requests' and segment in ('all', 'endpoint=/learn') and hour = %s",
            [HOUR, HOUR],
        )
        connection.commit()
        trained = train.train_all(connection, {train.ANOMALIES, train.ROOM_SUCCESS})
        assert {model.stage for model in trained} == {"serving"}
        rooms = next(model for model in trained if model.name == train.ROOM_SUCCESS)
        assert rooms.metrics["also"]["auc"] > 0.6 and rooms.metrics["also"]["ece"] < 0.25

        predict.predict_anomalies(connection)
        is_anomaly, direction, effect, explanation = connection.execute(
            "select is_anomaly, direction, effect_size, explanation from ml.anomalies "
            "where series_id = 'requests' and ds = %s",
            [HOUR],
        ).fetchone()
        assert is_anomaly and direction == "down" and effect < -3
        first = explanation["segments"][0]
        assert first["segment"] == "endpoint=/learn" and first["change_rate"] == -1
        assert first["share"] == pytest.approx(1, abs=0.3)
        query = "select count(*) from ml.anomalies where is_anomaly <> (explanation is not null)"
        assert connection.execute(query).fetchone() == (0,)
        connection.commit()

        predict.predict_room_success(connection)
        rows = connection.execute("select probability, reasons, as_of from ml.room_scores").fetchall()
        assert len(rows) == pytest.approx(100, abs=1)
        for probability, reasons, _ in rows:
            log_odds = sum(reason["contribution"] for reason in reasons)
            assert probability == pytest.approx(1 / (1 + np.exp(-log_odds)))
        connection.commit()

        told = {one.name: one for one in predict.judge_behaviour(connection)}
        assert told["unusual_sellers"].reason == "There are 0 sellers: what is usual can be told from 50 on."
        kinds = dict(connection.execute("select kind, count(*) from ml.unusual_behaviour group by 1").fetchall())
        assert kinds["room"] == told["unusual_rooms"].rows > 300 and kinds["user"] > 300
