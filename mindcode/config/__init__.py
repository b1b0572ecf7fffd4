"""YAML in MindFormers' key names, checked at the door and turned into frozen dataclasses."""
