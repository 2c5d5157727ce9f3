"""For all tests."""

import pytest

# They are mixed into test classes, so pytest would not look into their asserts by itself.
pytest.register_assert_rewrite("tests.contracts")
