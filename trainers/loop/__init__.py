"""One loop for every objective: steps, optimisers, checkpoints, signals, metrics; what it optimises is not its own."""
