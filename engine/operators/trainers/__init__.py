"""The trainers that a model node can name: one file each; what they take, and the module that does the work."""
