"""Hand-off folders: a built table and a base model as a folder that a trainer can start from, here or elsewhere."""
