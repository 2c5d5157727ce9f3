"""For all tests."""

import hypothesis
import pytest

# They are mixed into test classes, so pytest would not look into their asserts by itself.
pytest.register_assert_rewrite("tests.contracts")

# A deadline for each example would measure the machine, not the code.
hypothesis.settings.register_profile("orders", deadline=None)
hypothesis.settings.load_profile("orders")
