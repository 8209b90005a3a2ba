"""Formats that a `source:` is read from, one file each."""
