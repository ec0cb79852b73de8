"""For all tests: no test fails for being slow, and what tests start can be interrupted."""

import signal

from hypothesis import settings

settings.register_profile("kd", deadline=None)
settings.load_profile("kd")

# where the tests were started in a shell's background, SIGINT is ignored, and all that they start would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
