"""Elasticities that were planted, and prices that are recommended or refused."""

import numpy as np
import pandas as pd
import pytest

from ml import prices


def shop(products: int, days: int = 90, seed: int = 1, promoted: float = 0.0) -> tuple[pd.DataFrame, pd.Series]:
    """Days of products whose prices change every ten days; elasticities differ within and between categories."""
    random = np.random.default_rng(seed)
    category = np.arange(products) % 5
    planted = random.normal(-1.5, 0.3, 5)[category] + random.normal(0, 0.5, products)
    price = 20 * np.exp(random.uniform(-0.29, 0.29, (products, days // 10 + 1))).repeat(10, axis=1)[:, :days]
    views = random.poisson(40, (products, days)) + 1
    is_promotion = random.random((products, days)) < (0.15 if promoted else 0)
    level = np.log(0.25) + planted[:, None] * np.log(price / 20) + promoted * is_promotion
    frame = pd.DataFrame(
        {
            "product_id": np.repeat([f"p{n:04d}" for n in range(products)], days),
            "category": np.repeat(category, days).astype(str),
            "day": np.tile(np.arange(days), products),
            "units": random.poisson(views * np.exp(level)).ravel().astype(float),
            "price": price.ravel(),
            "exposure": views.ravel().astype(float),
            "is_promotion": is_promotion.ravel(),
        }
    )
    return frame, pd.Series(planted, sorted(set(frame["product_id"])))


def test_planted_elasticities_lie_within_their_intervals_nine_times_in_ten():
    frame, planted = shop(300)
    known = prices.elasticities(frame)
    inside = ((known["lo"] <= planted) & (planted <= known["hi"])).mean()
    assert 0.86 <= inside <= 0.94
    alone = ((known["estimate"] - planted) ** 2).mean()
    assert ((known["elasticity"] - planted) ** 2).mean() < 0.9 * alone  # drawing towards the category helps


def test_a_promotion_is_not_taken_for_a_price():
    frame, planted = shop(60, promoted=np.log(1.5))
    known = prices.elasticities(frame)
    assert known["promotion_effect"].mean() == pytest.approx(0.5, abs=0.07)
    blind = prices.elasticities(frame.assign(is_promotion=False))
    assert blind["promotion_effect"].isna().all()
    assert ((known["elasticity"] - planted) ** 2).mean() <= ((blind["elasticity"] - planted) ** 2).mean()


def test_an_estimate_is_drawn_as_far_as_it_is_unsure():
    """Two sure estimates of −1 and −3 in a category, and one with a great error: it becomes their mean."""
    mean, spread = prices.shrink(
        np.array([-1.0, -3.0, 4.0, np.nan]), np.array([0.01, 0.01, 20.0, np.nan]), np.array(["a"] * 4)
    )
    np.testing.assert_allclose(mean[:2], [-1, -3], atol=0.01)
    assert mean[2] == pytest.approx(-2, abs=0.1) and mean[3] == pytest.approx(-2, abs=0.1)
    assert spread[0] < 0.02 and spread[3] > 1


def known(elasticity: float, spread: float = 0.01, lowest: float = 5.0, highest: float = 20.0) -> pd.DataFrame:
    row = {"elasticity": elasticity, "spread": spread, "lowest_price": lowest, "highest_price": highest, "reason": None}
    return pd.DataFrame([row], index=["p"])


def test_the_best_price_is_that_of_the_textbook():
    """cost × e / (1 + e): 5 × −2 / −1 = 10. From 15: 100 × (10 / 15)^−2 × 5 − 100 × 10 = 125."""
    best = prices.recommended(known(-2.0), {"p": 15.0}, {"p": 100.0}, {"p": 5.0}).loc["p"]
    assert best["recommended_price"] == pytest.approx(10, rel=0.01) and pd.isna(best["reason"])
    assert best["lo"] <= best["recommended_price"] <= best["hi"]
    assert best["gain"] == pytest.approx(125, abs=2) and best["gain_lo"] <= best["gain"] <= best["gain_hi"]


def test_what_was_never_tried_is_not_recommended():
    above = prices.recommended(known(-1.2), {"p": 10.0}, {"p": 100.0}, {"p": 5.0}).loc["p"]
    assert pd.isna(above["recommended_price"]) and "above all that were observed" in above["reason"]
    below = prices.recommended(known(-3.0, lowest=9.0), {"p": 10.0}, {"p": 100.0}, {"p": 5.0}).loc["p"]
    assert "below all that were observed (9.00 to 20.00)" in below["reason"]
    unsold = prices.recommended(known(-2.0), {"p": 10.0}, {"p": 0.0}, {"p": 5.0}).loc["p"]
    assert "Nothing of it was sold" in unsold["reason"]


def test_without_variation_nothing_is_said_of_a_product_alone():
    frame, _ = shop(20)
    fixed, rare = frame["product_id"] == "p0003", frame["product_id"] == "p0004"
    frame.loc[fixed, "price"] = 20.0
    frame.loc[rare, "units"] = 0.0
    told = prices.elasticities(frame)
    assert "varied by 0.0 % only" in told.loc["p0003", "reason"] and "0 units" in told.loc["p0004", "reason"]
    assert told.loc["p0003", "spread"] > told["spread"].drop(["p0003", "p0004"]).max()
    refused = prices.recommended(told, {"p0003": 20.0}, {"p0003": 9.0}, {"p0003": 8.0}).loc["p0003"]
    assert pd.isna(refused["recommended_price"]) and refused["reason"] == told.loc["p0003", "reason"]


def test_prices_foretell_demand():
    frame, _ = shop(40)
    scored, _ = prices.evaluate(frame)
    assert scored["deviance"] < scored["deviance_without_price"]
    with pytest.raises(ValueError, match="varied"):
        prices.evaluate(frame.assign(price=20.0))

    # beside what was learned before: prices that do nothing are worse, the same ones as good
    same = prices.elasticities(frame[frame["day"] < frame["day"].sort_values().iloc[int(0.8 * len(frame))]])
    _, against = prices.evaluate(frame, same)
    assert against.change == 0 and not against.is_better
    _, against = prices.evaluate(frame, same.assign(elasticity=0.0))
    assert against.is_better
    assert against.change == pytest.approx(scored["deviance"] / scored["deviance_without_price"] - 1)
