"""Compiling a run for Ascend without an NPU and without CANN: what each NPU would hold, and how they communicate."""
