"""The errors that a person is meant to read. Anything else that is raised is a defect."""


class TidemarkError(Exception):
    """One sentence that says what is wrong, where, and what to do. The command line prints it and exits 1."""
