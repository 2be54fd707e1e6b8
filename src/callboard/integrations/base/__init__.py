"""What integrations share: `calls` on the side that calls, `serving`, `asgi`, `wsgi` and `lifespan` on the side that is called."""
