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
        assert all(rest == (True, 0, True, 0) for _, *rest in kinds for rest in [tuple(rest)])
        had = connection.execute(
            """select count(*) from api.recommendations as told
               join intermediate.int_order_line_hours as ordered
                   on told.kind = 'products' and told.subject_id = ordered.user_id and told.item_id = ordered.product_id
               where ordered.sold_units > 0"""
        ).fetchone()
        done = connection.execute(
            """select count(*) from api.recommendations as told
               join marts.lessons as lessons on told.kind = 'lessons' and told.subject_id = lessons.user_id
                   and told.item_id = lessons.lesson_id"""
        ).fetchone()
        sold_out = connection.execute(
            """select count(*) from api.recommendations join api.products on item_id = product_id
               where kind in ('products', 'seller_products') and stock <= 0"""
        ).fetchone()
        assert had == done == sold_out == (0,)


def test_prices_are_recommended_or_refused_with_a_reason(pipeline):
    with database.connect() as connection:
        rows = connection.execute(
            """select count(*), count(*) filter (where (recommended_price is null) = (reason is null)),
                      count(*) filter (where recommended_price not between lowest_price - 0.01 and highest_price + 0.01)
               from api.price_recommendations"""
        ).fetchone()
        assert rows[1:] == (0, 0)
