"""Why a page or a file is not read."""


class UnreadableError(Exception):
    """A page or a file has no text that can be read; the message gives the reason."""


class TooComplexError(UnreadableError):
    """It takes more time or memory than may be spent on it."""


class NotNowError(UnreadableError):
    """A file is not read now, for a reason that is not in the file; it is tried again in the next process."""


class MissingReaderError(UnreadableError):
    """The package that reads a kind of file is not installed."""
