{# Robust statistics of series, in which no single odd value decides. #}

{# The Theil–Sen line through the points (key…, x, y), one for each x, and the Mann–Kendall test that it leads anywhere: a
   SELECT of key…, points, last_x, slope, slope_lo and slope_hi (the interval of Sen 1968, for a two-sided normal
   `quantile`), level (the line at last_x) and confidence (1 − p of the test, corrected for ties and continuity; Gilbert
   1987, chapters 16 and 17). #}
{% macro theil_sen(points, key, quantile) -%}
    {%- set by = key | join(', ') -%}
    with pairs as (
        select
            {{ by }},
            count(*) as pairs,
            sum(sign(later.y - earlier.y)) as s,
            array_agg(slope order by slope) as slopes,
            percentile_cont(0.5) within group (order by slope) as slope
        from {{ points }} as earlier
        join {{ points }} as later using ({{ by }})
        cross join lateral (select (later.y - earlier.y) / (later.x - earlier.x) as slope) as slopes
        where earlier.x < later.x
        group by {{ by }}
    ),

    ties as (
        select
            {{ by }},
            sqrt(
                (sum(times) * (sum(times) - 1) * (2 * sum(times) + 5) - sum(times * (times - 1) * (2 * times + 5))) / 18
            )::double precision as s_deviation
        from (select {{ by }}, count(*) as times from {{ points }} group by {{ by }}, y) as tied
        group by {{ by }}
    ),

    lines as (
        select
            {{ by }},
            count(*) as points,
            max(x) as last_x,
            percentile_cont(0.5) within group (order by y - slope * x) + max(slope) * max(x) as level
        from {{ points }} as points
        join pairs using ({{ by }})
        group by {{ by }}
    )

    select
        {{ by }},
        points,
        last_x,
        slope,
        slopes[greatest(floor((pairs - {{ quantile }} * s_deviation) / 2), 1)::integer] as slope_lo,
        slopes[least(ceil((pairs + {{ quantile }} * s_deviation) / 2) + 1, pairs)::integer] as slope_hi,
        level,
        case when s_deviation > 0
            then greatest(2 * ops.normal_cdf((abs(s) - 1) / s_deviation) - 1, 0)
            else 0
        end as confidence
    from pairs
    join ties using ({{ by }})
    join lines using ({{ by }})
{%- endmacro %}
