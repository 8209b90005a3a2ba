"""Statistics that operators and commands share: rankings, intervals, densities and curves, on NumPy arrays alone."""
