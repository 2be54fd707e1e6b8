"""Signatures of messages and answers: who may read the cards in the store is one of us, and nobody else can write to us. Pure.

The key is the secret on the card of who is asked: fresh for each process, and read from the store by who asks. An answer is signed
together with the signature of its question, so that it answers that one and no other; and a signature of one kind never passes for one
of the other. A recorded question can be sent again: what that would do is for the registry to say, which numbers everything.
"""

import hmac
from typing import Final

_QUESTION: Final = b"callboard question\n"
_ANSWER: Final = b"callboard answer\n"


def sign_question(secret: str, member: str, nonce: str, message: bytes) -> str:
    """Of a message that the process `nonce` of `member` sends to the owner of `secret`."""
    return _sign(secret, b"".join((_QUESTION, member.encode(), b"\n", nonce.encode(), b"\n", message)))


def sign_answer(secret: str, question: str, answer: bytes) -> str:
    """Of the answer to the message with that signature."""
    return _sign(secret, b"".join((_ANSWER, question.encode(), b"\n", answer)))


def same(one: str, other: str) -> bool:
    """Whether two signatures are equal, without telling by time how far they are."""
    return hmac.compare_digest(one.encode(), other.encode())


def _sign(secret: str, text: bytes) -> str:
    return hmac.digest(secret.encode(), text, "sha256").hex()
