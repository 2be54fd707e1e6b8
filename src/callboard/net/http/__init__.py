"""HTTP for every protocol that speaks it: a quick door in front of uvicorn, Starlette behind it, one table of routes for both."""
