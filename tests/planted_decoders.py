"""What stands in for `tumorlens.images.apart_process`: decoders that hang, or crash.

A JPEG 2000 whose width says so sleeps, or kills the process that decodes it.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from PIL import Jpeg2KImagePlugin

from tumorlens.images.apart_process import serve as serve_well

HANGS, CRASHES = 17, 19  # pixels in width


def serve() -> None:
    """Serve as usual, but for those two."""
    load = Jpeg2KImagePlugin.Jpeg2KImageFile.load

    def planted(self: Any) -> Any:
        if self.width == HANGS:
            time.sleep(600)
        if self.width == CRASHES:
            os.kill(os.getpid(), signal.SIGSEGV)
        return load(self)

    Jpeg2KImagePlugin.Jpeg2KImageFile.load = planted  # type: ignore[method-assign]
    serve_well()
