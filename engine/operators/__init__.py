"""The shelf of operators: `sources/`, `generators/`, `scorers/`, `selectors/`, one file each."""
