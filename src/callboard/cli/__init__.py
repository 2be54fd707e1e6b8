"""The command `callboard`. A command loads what it needs when it is called: a reading one must start in the blink of an eye."""
