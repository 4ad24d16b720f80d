"""What every test of the workspace shares."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["servicekit.testing"]

# How fast a machine draws examples is no law of ours: a loaded one must not fail a proof.
settings.register_profile("farol", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("farol")
