"""Every table, built by dbt up to one tide mark, one Dagster asset a model and one dbt invocation a layer."""
