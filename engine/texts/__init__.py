"""Texts as operators compare them: tokens, n-grams and what two texts share, many at a time.

Only NumPy, Arrow and polars are known here; what is kept, dropped or written is up to the operators.
"""
