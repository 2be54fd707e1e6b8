"""`callboard doctor`: what keeps a server from being used, seen from where the command runs and from the server itself.

`reaching`, `naming` and `surroundings` look and gather facts; `judging` turns what the server tells into findings; `findings` orders and
shows them. Nothing lives longer than the command.
"""
