"""Errors that a user can act on."""


class NetralError(Exception):
    """A problem with the input, the configuration or an output path.

    The command line prints the message and the next step without a traceback and exits with code 2.
    Library users catch it like any other exception.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        """Keep what is wrong (naming file and row) apart from what to do about it."""
        super().__init__(f"{message}\n  next: {next_step}" if next_step else message)
        self.message = message
        self.next_step = next_step
