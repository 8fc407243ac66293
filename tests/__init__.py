"""The tests, in the tree of the package. A package itself, so that tests share oracles: `from tests.x import y`."""
