"""How well the models learn on well-known real data: a module a kind of model, each with `rows(data)`."""
