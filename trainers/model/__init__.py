"""The model in training: loaded, attended with, called for what losses need, saved."""
