"""What to do about each kind of trouble with the rows of a hand-off folder, or with its tokenizer."""

from __future__ import annotations

CURES = {
    "prefix_mismatch": "put {% generation %} ... {% endgeneration %} around the assistant's text in the template, "
    "and give it as params.chat_template",
    "template_refuses": "mend the rows, leave them out by a filter, or give another params.chat_template",
    "role_order": "let user and assistant take turns, the user first; leave other rows out by a filter",
    "no_messages": "leave the rows out by a filter",
    "fully_masked": "leave the rows out by a filter, or (conversations) set train_on: all",
    "seam": "move the white space that ends the prompt or the header to the beginning of the answer, or the other way "
    "round, in the rows or in the template",
    "over_long": "raise params.max_length, leave the rows out by a filter, or set over_long: drop or truncate "
    "(preferences, rankings: truncate_prompt)",
    "cut_answer": "raise params.max_length, or set over_long: drop",
    "cut_to_nothing": "raise params.max_length, or set over_long: drop",
    "empty_answer": "leave the rows out by a filter, or set bad_pairs: drop (rankings: bad_rows: drop)",
    "same_answers": "leave the rows out by a filter, or set bad_pairs: drop (rankings: bad_rows: drop)",
    "bad_ranking": "let train_ranking hold the indices of two responses or more, each once, the best one first; leave "
    "other rows out by a filter, or set bad_rows: drop",
    "bad_rewards": "give each response a reward that agrees with train_ranking, or set bad_rows: drop, or "
    "reward_gaps: false",
    "no_label": "leave the rows out by a filter",
    "cut_prompt": "raise params.max_length, or set over_long: drop",
    "long_answer": "raise params.max_length, or leave the rows out by a filter",
    "other_reference": "mend what it says",
    "double_bos": "take one of the two out of the chat template",
    "end_of_turn": "put the end of turn inside of {% generation %} in the chat template",
    "cannot_start": "mend what it says",
    "nothing_left": "look at the other problems: they took every row",
    "eos_is_pad": "give the tokenizer a pad token of its own (tokenizer.pad_token = an unused special token)",
}
"""By the codes of troubles."""
