"""What Callboard costs, so that the figures can be repeated: medians of interleaved pairs against a bare loop sending the same bytes."""
