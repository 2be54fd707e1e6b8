"""The values of the field: frozen, checked when made, known to every other room. They live as long as whoever holds them."""
