"""Each safety that the guarantee rests on, taken away in a copy, with the test that must notice."""
