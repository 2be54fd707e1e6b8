"""The doors: one folder for each protocol. No frontend knows another, and none knows the SDK."""
