"""What a run will need and how fast it may be, from its configuration alone: pure arithmetic, without MindSpore."""
