"""A run and how it begins: what its options have to be, what it is made of, closing it, its misuse."""
