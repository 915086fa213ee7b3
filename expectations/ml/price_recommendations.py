"""Recommended prices, before anyone asks them."""

from expectations.declaration import Suite, no_rows

SUITE = Suite(
    table="ml.price_recommendations",
    columns=(
        "product_id",
        "elasticity",
        "elasticity_lo",
        "elasticity_hi",
        "price",
        "unit_cost",
        "lowest_price",
        "highest_price",
        "recommended_price",
        "gain_28d",
        "reason",
    ),
    scope="newest load",
    time="load_id",
    expectations=(
        no_rows(
            "prices were observed",
            """select product_id, recommended_price, lowest_price, highest_price
               from {batch} as judged
               where recommended_price not between lowest_price - 0.01 and highest_price + 0.01
               order by product_id""",
            description="No price is recommended that lies outside of those that were observed.",
            says="{recommended_price:,.2f} is recommended for {product_id}, observed were {lowest_price:,.2f} to "
            "{highest_price:,.2f}",
        ),
        no_rows(
            "prices cover the cost",
            """select product_id, recommended_price, unit_cost
               from {batch} as judged
               where recommended_price <= unit_cost
               order by product_id""",
            description="No price is recommended at which a unit costs more than it earns.",
            says="{recommended_price:,.2f} is recommended for {product_id}, of which a unit costs {unit_cost:,.2f}",
        ),
        no_rows(
            "a price or a reason",
            """select count(*) as products
               from {batch} as judged
               where (recommended_price is null) = (reason is null)
               having count(*) > 0""",
            description="There is a recommended price, or a reason why there is none.",
            says="{products:,} products have neither a recommended price nor a reason, or both",
        ),
        no_rows(
            "demand falls with the price",
            """select count(*) as products
               from {batch} as judged
               where elasticity_lo > 0
               having count(*) > 0""",
            description="No product is surely bought more when it is dearer.",
            says="{products:,} products seem to be bought more when they are dearer",
            severity="warning",
        ),
    ),
)
