"""Play one story: `STORY URL CHROMIUM AXE`. Orders to whoever started the server go out on stdout, as does the result."""

import json
import sys
from pathlib import Path

from tests.interop.clients.ui import figures, link, stories
from tests.interop.clients.ui.browser import stage


def main() -> int:
    """0: it went as told; what did not is on stderr."""
    name, url, chromium, axe = sys.argv[1:]
    story = next(each for each in (*stories.STORIES, *link.LINK, *figures.FIGURES) if each.__name__ == name)
    with stage(url, chromium, Path(axe)) as at:
        story(at)
        if at.complaints:
            sys.stderr.write("\n".join(at.complaints) + "\n")
            return 1
        sys.stdout.write(json.dumps({"figures": at.figures, "chromium": at.browser.version}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
