"""Pure rules of fetching: order, pace, stop, retry, text."""
