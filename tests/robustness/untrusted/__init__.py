"""Readers of files that anybody may have written, and what must hold of any content."""
