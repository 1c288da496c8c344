"""`python -m rigl_edu`: see `rigl_edu.lab.cli`."""

import sys

from rigl_edu.lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
