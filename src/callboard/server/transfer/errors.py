"""Why rows were not moved. In each case the target is as it was, unless the error says otherwise."""

from callboard.model.errors import CallboardError


class TransferError(CallboardError):
    """Refused or failed; the message says what to do next."""

    code = "transfer"


class IncompatibleError(TransferError):
    """This program cannot read what is to be moved, or the target cannot hold it."""

    code = "incompatible"
