"""What is recommended at the end of the whole pipeline, and that it may be acted on."""

from orchestration.warehouse import database


def test_people_are_recommended_what_they_have_not_had_each_with_a_reason(pipeline):
    with database.connect() as connection:
        kinds = connection.execute(
            """select kind, count(*) > 0, count(*) filter (where reason = ''), max(place) <= 10,
                      count(*) filter (where source = 'popular' and because is not null)
               from api.recommendations group by kind order by kind"""
        ).fetchall()
        assert {"content", "lessons", "products", "seller_products"} <= {kind for kind, *_ in kinds}
        assert {tuple(rest) for _, *rest in kinds} == {(True, 0, True, 0)}
        newest = "(select max(day) from api.metric_daily where is_final and segment = 'all')"
        kept = connection.execute(
            f"""select count(*) from api.recommendations as told
                join (
                    select user_id, product_id
                    from intermediate.int_order_line_hours
                    where ops.day_of(hour, ops.timezone()) <= {newest}
                    group by 1, 2
                    having sum(sold_units) > sum(returned_units)
                ) as kept on told.subject_id = kept.user_id and told.item_id = kept.product_id
                where told.kind = 'products'"""
        ).fetchone()
        done = connection.execute(
            f"""select count(*) from api.recommendations as told
                join marts.lessons as lessons on told.subject_id = lessons.user_id and told.item_id = lessons.lesson_id
                where told.kind = 'lessons' and ops.day_of(lessons.occurred_at, ops.timezone()) <= {newest}"""
        ).fetchone()
        sold_out = connection.execute(
            """select count(*) from api.recommendations join api.products on item_id = product_id
               where kind in ('products', 'seller_products') and stock <= 0"""
        ).fetchone()
        assert kept == done == sold_out == (0,)


def test_prices_are_recommended_or_refused_with_a_reason(pipeline):
    with database.connect() as connection:
        rows = connection.execute(
            """select count(*), count(*) filter (where (recommended_price is null) = (reason is null)),
                      count(*) filter (where recommended_price not between lowest_price - 0.01 and highest_price + 0.01)
               from api.price_recommendations"""
        ).fetchone()
        assert rows[1:] == (0, 0)
