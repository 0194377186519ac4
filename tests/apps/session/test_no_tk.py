"""A session is for every face: it loads without Tk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tumorlens.apps import session


def test_a_session_loads_without_tk_and_nothing_heavy() -> None:
    files = Path(session.__file__).parent.glob("*.py")
    names = [f"tumorlens.apps.session.{p.stem}" for p in files if p.stem != "__init__"]
    heavy = {"tkinter", "onnxruntime", "keras", "tumorlens.apps.desktop"}
    program = f"import {', '.join(names)}, sys\nassert not {heavy!r} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
