"""The boards' asyncio side: the same names as `callboard.client`, awaited. The work itself is done by the engine's threads."""
