"""From prompts to text: a decoder with a key/value cache, continuous batching, sampling and stopping."""
