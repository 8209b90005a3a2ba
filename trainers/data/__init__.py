"""From a hand-off folder to tensors: rows, tokens and masks, packs, batches. No model is known here."""
