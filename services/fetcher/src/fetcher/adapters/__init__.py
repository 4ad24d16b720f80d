"""The two sources and the memory, each behind one module."""
