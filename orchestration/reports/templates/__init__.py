"""One folder a template: its queries, what it says of them, and its charts."""
