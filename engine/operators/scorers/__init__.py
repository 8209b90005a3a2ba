"""Scorers: each row to exactly one row of new columns."""
