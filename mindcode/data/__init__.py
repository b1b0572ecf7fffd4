"""From raw text and tokenizers to MindRecord rows, and from rows to batches."""
