"""What the models reach on well-known data: a module a section, each with `rows(data)`. Nothing here learns."""
