"""Real learners and real judgements: OULAD through learning, MovieLens through preference, with their known totals."""

import csv
import gzip
import shutil
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from orchestration.ingest import loader
from orchestration.settings import ROOT
from orchestration.warehouse import database

SOURCES = """
sources:
  oulad-submissions:
    format: csv
    timezone: Europe/London
    mapping:
      event_type: {value: lesson_completed}
      event_id: submission
      occurred_at: submitted_at
      user_id: id_student
      properties:
        lesson_id: id_assessment
        skill: assessment_type
        class_id: presentation
        score: {column: score, type: number}
  oulad-results:
    format: csv
    timezone: Europe/London
    mapping:
      event_type: {column: final_result, slug: true}
      event_id: enrolment
      occurred_at: ended_at
      user_id: id_student
      properties: {class_id: presentation}
  movielens:
    format: csv
    mapping:
      event_type: {value: content_rated}
      occurred_at: {column: timestamp, format: epoch_seconds}
      user_id: userId
      properties:
        content_id: movieId
        category: {value: films}
        rating: {column: rating, type: number}
"""


def oulad(folder, target) -> list:
    """The submissions and results of OULAD as files with dates, which it tells as days from the start of a course.

    2013B and 2014B start in February, 2013J and 2014J in October; the first of the month is taken.
    """
    import polars as pl

    def read(name: str) -> pl.DataFrame:
        return pl.read_csv(folder / f"{name}.csv.gz", infer_schema=False)

    def moment(presentation: str, days: str) -> str:
        start = datetime(int(presentation[:4]), {"B": 2, "J": 10}[presentation[4]], 1, 12)
        return (start + timedelta(days=int(days))).isoformat()

    presentation = pl.concat_str("code_module", "code_presentation", separator="-").alias("presentation")

    def dated(frame: pl.DataFrame, days: str, name: str) -> pl.DataFrame:
        pairs = frame.select("code_presentation", days).iter_rows()
        return frame.with_columns(presentation, pl.Series(name, [moment(*pair) for pair in pairs]))

    submissions = read("studentAssessment").join(read("assessments"), on="id_assessment", validate="m:1")
    submissions = dated(submissions, "date_submitted", "submitted_at").with_columns(
        pl.concat_str("id_assessment", "id_student", separator="-").alias("submission")
    )
    results = read("studentInfo").join(read("courses"), on=["code_module", "code_presentation"], validate="m:1")
    results = dated(results, "module_presentation_length", "ended_at").with_columns(
        pl.concat_str("code_module", "code_presentation", "id_student", separator="-").alias("enrolment")
    )
    submissions.select(
        "submission", "submitted_at", "id_student", "id_assessment", "assessment_type", "presentation", "score"
    ).write_csv(target / "submissions.csv")
    results.select("enrolment", "ended_at", "id_student", "presentation", "final_result").write_csv(
        target / "results.csv"
    )
    return [("oulad-submissions", target / "submissions.csv"), ("oulad-results", target / "results.csv")]


@pytest.fixture
def load(warehouse, tmp_path, monkeypatch):
    """Load files of the sources above; returns a function that asks the warehouse."""
    config = shutil.copytree(ROOT / "config", tmp_path / "config")
    (config / "sources.yml").write_text(SOURCES)
    monkeypatch.setenv("TIDEMARK_CONFIG", str(config))

    def ask(query: str) -> list[tuple]:
        with database.connect() as connection:
            return connection.execute(query).fetchall()

    def load(files: list):
        for source, path in files:
            loader.ingest(source, [path])
        return ask

    return load


def test_the_results_of_oulad_are_the_published_ones(dbt, data, load, tmp_path):
    ask = load(oulad(data / "oulad", tmp_path)[1:])
    dbt.build("staging", 1)
    results = dict(ask("select event_type, count(*) from staging.stg_events group by 1"))
    assert results == {"pass": 12_361, "withdrawn": 10_156, "fail": 7_052, "distinction": 3_024}


@pytest.mark.nightly
def test_the_submissions_of_oulad_run_through_learning(dbt, data, load, tmp_path):
    ask = load(oulad(data / "oulad", tmp_path))
    dbt.build("staging marts published", 2)
    assert ask("select count(*), count(*) - count(score) from marts.lessons") == [(173_912, 173)]
    (plain,) = ask(
        """select count(distinct user_id), sum((properties ->> 'score')::numeric) from raw.events
           where event_type = 'lesson_completed'"""
    )
    assert ask("select count(*), sum(average_score * scored) from api.learners")[0] == (
        plain[0],
        pytest.approx(plain[1], abs=Decimal("0.1")),
    )
    (whole,) = ask(
        """select sum(activities), count(distinct name) from api.learning_periods
           where scope = 'class' and grain = 'year'"""
    )
    assert whole == (173_912, 22)


@pytest.mark.parametrize("users", [60, pytest.param(610, marks=pytest.mark.nightly)])
def test_movielens_has_its_published_totals(dbt, data, load, tmp_path, users):
    """Of the first people or of all. Half a star, which 1,370 ratings have, is no rating from 1 to 5: it is held."""
    with gzip.open(data / "movielens-latest-small" / "ratings.csv.gz", "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["userId"]) <= users]
    ratings = [Decimal(row["rating"]) for row in rows]
    films, halves = len({row["movieId"] for row in rows}), ratings.count(Decimal("0.5"))
    if users == 610:
        published = (100_836, pytest.approx(Decimal("3.501557"), abs=Decimal("1e-6")), 9_724, 1_370)
        assert (len(rows), sum(ratings) / len(rows), films, halves) == published
    with (tmp_path / "ratings.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    ask = load([("movielens", tmp_path / "ratings.csv")])
    dbt.build("staging marts published", 1)
    (told,) = ask("select count(*), sum(rating), count(distinct content_id) from staging.stg_content_events_checked")
    assert told == (len(rows), sum(ratings), films)
    assert ask("select relation, sum(records) from api.held_values group by 1") == [("stg_content_events", halves)]
    rated = len(rows) - halves
    (judged,) = ask(
        """select sum(judgements), count(*), 5 * sum(observed_rate * judgements) / sum(judgements) from api.preferences
           where scope = 'user'"""
    )
    mean = (sum(ratings) - halves * Decimal("0.5")) / rated
    assert judged == (rated, users, pytest.approx(mean, abs=Decimal("1e-6")))
    assert ask("select sum(ratings), sum(rating_sum) from marts.content_item_daily") == [(rated, mean * rated)]
