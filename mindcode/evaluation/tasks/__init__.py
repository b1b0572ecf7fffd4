"""One file per benchmark: problems, prompts and what counts as an answer."""
