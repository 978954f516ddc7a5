"""A package, so that a fixture of scope "package", a running job, ends with its last test."""
