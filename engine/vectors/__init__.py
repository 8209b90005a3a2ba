"""Vectors as operators compare them: of length 1, block by block, exact where exactness is possible.

Only NumPy, Arrow and FAISS are known here; what is kept, dropped or written is up to the operators.
"""
