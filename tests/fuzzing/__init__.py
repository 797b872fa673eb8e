"""Files that are wrong in ways that nobody thought of: one module a kind of file, each with a `fuzz_case`."""
