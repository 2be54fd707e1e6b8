"""Assembly: the only place that knows every part. Settings merged, parts joined, listeners opened, counters read."""
