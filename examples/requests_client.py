"""Calls a service through requests."""

import callboard
from callboard.integrations.requests import session

with callboard.connect() as board, session(board, services={"orders": {"version": "^2", "policy": "smooth_wrr"}}) as http:
    for page in range(4):
        answer = http.get("svc://orders/items", params={"page": page}, timeout=2.0)
        print(answer.text)
