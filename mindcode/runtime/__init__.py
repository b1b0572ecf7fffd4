"""The only room that touches MindSpore's global state: device, mode, seeds, environment."""
