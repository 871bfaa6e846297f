"""Where the Hub looks for a handler. The image starts `python -u -m gpu_handler.handler` itself."""

import sys

from gpu_handler.handler import main

if __name__ == "__main__":
    sys.exit(main())
