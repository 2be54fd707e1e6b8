"""What Prometheus asks: which targets there are to scrape."""
