"""How each verb does its work: one file a verb, over the store, for one step at a time."""
