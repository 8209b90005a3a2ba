"""What the short files `dpo` and `pama` stand on: answers with their reference, and rollouts with their rewards."""
