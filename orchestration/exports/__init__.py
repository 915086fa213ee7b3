"""Exports: what the api and the marts say, written to files elsewhere, each with a manifest. No figure is computed."""
