"""The outside of the gateway: the bus, the Object Store and the listening socket."""
