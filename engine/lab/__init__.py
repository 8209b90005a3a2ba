"""The selector lab: the same table through several selectors at the same budget, side by side.

Each selector becomes a node beside the spec's own and is built by an ordinary build (`nodes`), so that its verdicts are
in the store and the catalog, and pasting the node into the spec builds nothing anew. `measures` says what the
selections are like; how that is shown is the command line's business.
"""
