"""Generators: rows to new rows with a parent."""
