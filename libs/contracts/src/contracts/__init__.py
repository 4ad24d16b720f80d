"""Farol's messages, subjects, folds and domain values: all that crosses a service border."""
