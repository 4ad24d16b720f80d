"""State that all processes of a service share in Redis, with stand-ins for when it is away."""
