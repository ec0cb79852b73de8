"""For all tests: no test fails for being slow."""

from hypothesis import settings

settings.register_profile("kd", deadline=None)
settings.load_profile("kd")
