-- Learning: which version serves and since when, how predictions turned out, and what drifted away from what was learned.

-- Models -----------------------------------------------------------------------------------------------------------

alter table ml.models
    drop constraint models_stage_check,
    add constraint models_stage_check check (stage in ('serving', 'shadow', 'retired', 'rejected')),
    add column marks jsonb not null default '{}',       -- table -> the mark at which it was read
    add column code text not null default '',           -- checksum of the code that learned
    add column seed integer not null default 0,
    add column reference jsonb not null default '{}',   -- input or score -> histogram of what was learned from
    add column verdict text not null default '',        -- why it has its stage
    add column share double precision not null default 0 check (share >= 0 and share < 1);

comment on column ml.models.share is 'Of a shadow: the share of people or series that it serves, 0 for none.';

create unique index one_shadow on ml.models (name) where stage = 'shadow';

create table ml.model_stages (           -- every change of a stage, in order
    change_id bigint generated always as identity primary key,
    model_id text not null references ml.models,
    stage text not null,
    reason text not null,
    actor text not null,
    changed_at timestamptz not null default clock_timestamp()
);

create index model_stages_model on ml.model_stages (model_id);

-- Which of two versions serves a person or a series: always the same one, while the share stays.
create function ml.place_of(name text, unit text) returns double precision
language sql immutable parallel safe
return ('x' || substr(md5(name || chr(31) || unit), 1, 8))::bit(32)::bigint / 4294967296.0;

create function ml.serves(which text, unit text) returns boolean
language sql stable parallel safe
begin atomic
    select coalesce(
        case models.stage
            when 'serving' then ml.place_of(models.name, unit) >= coalesce(shadow.share, 0)
            when 'shadow' then ml.place_of(models.name, unit) < models.share
        end, false)
    from ml.models as models
    left join ml.models as shadow on shadow.name = models.name and shadow.stage = 'shadow'
    where models.model_id = which;
end;

-- Forecasts --------------------------------------------------------------------------------------------------------

alter table ml.forecasts
    add column data_hash text not null default '',       -- of the history that it was made from
    add column intervals jsonb not null default '{}';    -- further levels: {"50": [lo, hi]}

create index forecasts_ds on ml.forecasts (ds);

create function ml.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'A forecast is frozen when it is made: % of % cannot be changed.', old.ds, old.series_id;
end $$;

create trigger frozen before update on ml.forecasts for each row execute function ml.refuse_change();

create table ml.forecast_scores (        -- one row is a forecast value whose truth has arrived
    series_id text not null,
    model_id text not null references ml.models,
    load_id bigint not null,             -- of the forecast
    ds timestamptz not null,
    horizon integer not null check (horizon >= 1),       -- steps ahead of what was known
    value double precision not null,     -- the truth
    yhat double precision not null,
    mase double precision,               -- |value - yhat| by the seasonal naive error of the history; null if that is 0
    smape double precision not null,     -- percent, 0 to 200
    pinball double precision not null,   -- mean of the quantiles 2.5, 10, 90 and 97.5 %
    is_in_80 boolean not null,
    is_in_95 boolean not null,
    scored_at timestamptz not null default clock_timestamp(),
    primary key (series_id, model_id, load_id, ds)
);

create index forecast_scores_model on ml.forecast_scores (model_id);

-- People -----------------------------------------------------------------------------------------------------------

alter table ml.churn_scores
    add column has_churned boolean,      -- what became of it; null until the horizon is over
    add column settled_at timestamptz;

-- Drift ------------------------------------------------------------------------------------------------------------

create table ml.drift (                  -- one row is an input or the score of a model, beside what it learned from
    model_id text not null references ml.models,
    load_id bigint not null,
    input text not null,                 -- name of a feature, or 'score'
    n integer not null,
    psi double precision not null,       -- less what chance makes of it
    shift double precision not null,     -- effect size: the largest difference of cumulative shares, 0..1
    is_drift boolean not null,
    made_at timestamptz not null default clock_timestamp(),
    primary key (model_id, load_id, input)
);
