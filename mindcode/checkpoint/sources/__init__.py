"""Files that weights come from; each gives tensors lazily, under MindFormers' names and in MindFormers' layout."""
