"""Setwright's engine: a spec in YAML becomes tables that can be trusted, resumed and queried.

The rooms, from the ground up (imports point down this list only; `lint-imports` keeps it):

    cli        the command line
    run        executes a plan; runners/ decide where shards run
    catalog    DuckDB views over the store, the ledger and the manifests
    plan       pure passes from a spec to a list of steps
    spec       YAML to typed spec, every error with its place
    registry   finds operators and model backends by their path
    operators  what makes, scores and selects rows; one file each
    models     the backends that answer model calls; one file each
    store, ledger, fingerprint    objects by fingerprint; calls by content
    operator, model, schema, errors    what an operator, a model, a row, an error is
"""

__version__ = "0.1.0"
