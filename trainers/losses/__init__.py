"""Losses as pure functions of tensors, with their shapes and sources; no model, no data, no loop."""
