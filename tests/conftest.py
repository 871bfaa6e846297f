"""What all tests share."""

from hypothesis import HealthCheck, settings

# Two cores may be busy with something else: a slow machine is no fault of a test.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
