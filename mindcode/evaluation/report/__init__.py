"""The report room: a run folder in, one self-contained HTML page out."""
