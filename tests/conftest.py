"""What holds for all tests."""

from hypothesis import settings

# A machine that is busy makes an example slow, and no test says how long anything takes.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
