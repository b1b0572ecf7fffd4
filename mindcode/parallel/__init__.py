"""How one model is shared by many processes: a table, and what reads it. The model knows nothing of it."""
