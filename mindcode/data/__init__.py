"""From raw text and conversations to rows of token ids: tokenizers, templates, MindRecord files, batches."""
