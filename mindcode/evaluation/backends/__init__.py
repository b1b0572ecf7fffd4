"""What can answer a prompt."""
