{# Robust statistics of series, in which no single odd value decides. #}

{# The Theil–Sen line through the points (key…, x, y), one for each x, and the Mann–Kendall test that it leads anywhere: a
   SELECT of key…, points, last_x, middle (the median of y), slope, slope_lo and slope_hi (the interval of Sen 1968, for a
   two-sided normal `quantile`), level (the line at last_x) and confidence (1 − p of the test, corrected for ties and
   continuity; Gilbert 1987, chapters 16 and 17). One point has no line: slopes, level and
   confidence are null.

   A series is an array while it is computed: joined to itself, the planner would expect a few rows of millions. #}
{% macro theil_sen(points, key, quantile) -%}
    select
        {{ key | join(', ') }},
        points,
        last_x,
        lines.middle,
        slope,
        slopes[greatest(floor((pairs - {{ quantile }} * s_deviation) / 2), 1)::integer] as slope_lo,
        slopes[least(ceil((pairs + {{ quantile }} * s_deviation) / 2) + 1, pairs)::integer] as slope_hi,
        lines.residual + slope * last_x as level,
        case
            when pairs = 0 then null
            when s_deviation > 0 then greatest(2 * ops.normal_cdf((abs(s) - 1) / s_deviation) - 1, 0)
            else 0
        end as confidence
    from (
        select
            {{ key | join(', ') }},
            count(*) as points,
            max(x) as last_x,
            array_agg(x order by x) as xs,
            array_agg(y order by x) as ys
        from {{ points }}
        group by {{ key | join(', ') }}
    ) as series
    cross join lateral (
        select
            count(*) as pairs,
            sum(sign(later.y - earlier.y)) as s,
            array_agg(slope order by slope) as slopes,
            percentile_cont(0.5) within group (order by slope) as slope
        from unnest(xs, ys) with ordinality as earlier (x, y, place)
        join unnest(xs, ys) with ordinality as later (x, y, place) on earlier.place < later.place
        cross join lateral (select (later.y - earlier.y) / (later.x - earlier.x) as slope) as slopes
    ) as pairs
    cross join lateral (
        select sqrt(
            (sum(times) * (sum(times) - 1) * (2 * sum(times) + 5) - sum(times * (times - 1) * (2 * times + 5))) / 18
        )::double precision as s_deviation
        from (select count(*) as times from unnest(ys) as y group by y) as tied
    ) as ties
    cross join lateral (
        select
            percentile_cont(0.5) within group (order by y) as middle,
            percentile_cont(0.5) within group (order by y - slope * x) as residual
        from unnest(xs, ys) as point (x, y)
    ) as lines
{%- endmacro %}
