"""Trainers: read a hand-off folder with pyarrow, and train. They never import the engine."""
