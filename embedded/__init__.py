"""How the embedded chat model is made: its grammar, corpus, tokenizer, recipe, evaluation. Not in the wheel."""
