"""The catalog: commands become rows, rows become the view, the view answers queries."""
