"""Small pieces without a subject of their own: files, errors, progress, log; the standard library and tqdm only."""
