"""Setwright's engine: a spec in YAML becomes tables that can be trusted, resumed and queried.

The rooms, from the roof down (imports point down this list only; `lint-imports` keeps it):

    cli                     the command line, one file a command
    builds, doctor          one build from beginning to end; what is wrong with a machine, a home, a model
    run                     executes a plan; runners/ decide where shards run, work/ how each verb is done
    handoff                 writes what a trainer reads, and has it checked
    explore, catalog        looking at what was built; DuckDB views over the store, the ledger and the manifests
    plan                    pure passes from a spec to a list of steps
    spec                    YAML to typed spec, every error with its place
    sourcing                files and data sets to rows with ids; shapes/ knows their shapes
    registry                finds operators, formats and backends by their path
    operators, models       what makes, scores and selects rows; what answers model calls; one file each
    relation, calls, laws   how tables are composed of objects; the gate to a model, `bound` to an operator; the laws
    store, ledger           objects by fingerprint; model calls by content
    operator, needs, model, request, schema, errors    what an operator (and what it needs), a model, a call to it, a
                            row and an error is; `names` says how nodes of rounds are called
"""

__version__ = "0.1.0"
