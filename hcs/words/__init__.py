"""What findings mean, in sentences: numbers and typed facts come in, no file is read."""
