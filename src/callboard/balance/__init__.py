"""Choosing where a call goes: which endpoints a caller may use, and which of them takes the next call.

The parts, in the order in which a call meets them:

- `endpoint`: what a balancer sees of an instance.
- `selector`: which endpoints a caller wants, with the reason for each (`select`; `select_or_panic` never leaves a caller without
  endpoints because too many checks fail at once). It joins `subset` (tags, labels, version), `health` and `zones`; `versions` reads ranges.
- `outlier`: which endpoints are left out for a while because calls to them fail.
- `picker`: one endpoint for one call. A picker's set of endpoints never changes; `successor` makes the next picker and hands on what was
  learnt. Policies: `weighted_random`, `smooth_wrr`, `p2c`, `peak_ewma`; `make_picker` knows them by name.

Everything here is pure: `now` (nanoseconds of a forward-only clock) and `chance` (0 <= chance < 1) are arguments, nothing waits, and no
lock is taken. A picker is called by several threads at once: what they share are sets that are added to and taken from in one step, and
averages of which a lost update does no harm.
"""
