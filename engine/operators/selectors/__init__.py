"""Selectors: a table to a verdict on each of its rows."""
