"""Model backends, one file each, named as the spec's `use:` names them."""
