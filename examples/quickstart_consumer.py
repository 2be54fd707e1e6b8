"""A caller: each call goes to whichever instance is well, and to another one when that fails."""

import urllib.request

import callboard

with callboard.connect() as board:
    hello = board.service("hello", policy="smooth_wrr")
    for _ in range(20):
        for attempt in hello.attempts():
            try:
                with urllib.request.urlopen(attempt.url, timeout=attempt.timeout_s) as answer:
                    attempt.answered(answer.status)
                    print("answered by", attempt.endpoint.port)
            except OSError as error:
                attempt.failed(error)
