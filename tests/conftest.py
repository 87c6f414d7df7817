"""What all tests share: hypothesis without a deadline, since machines are busy."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "wsproc", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("wsproc")
