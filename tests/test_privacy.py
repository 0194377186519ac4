"""Nothing phones home, and nothing is written but what was asked for."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tumorlens
from tumorlens.data.phantom import write_phantoms

SOURCE = Path(tumorlens.__file__).parent
ROOT = Path(__file__).parents[1]

DOOR = SOURCE / "models" / "engine.py"
SWITCHES = ("CI", "GITHUB_ACTIONS", "ORT_", "HF_", "KAGGLE", "DO_NOT_TRACK", "XDG_", "MPL")
"""How variables begin that switch a library's telemetry off, or move what it writes."""

USES = {
    "predict": "list(tumorlens.load(bundle).predict_batch([picture] * 40))",
    "explain": "tumorlens.load(bundle).explain(picture).save('record')",
    "workers": """
with concurrent.futures.ProcessPoolExecutor(
    1, mp_context=multiprocessing.get_context("spawn")
) as pool:
    print(list(pool.map(tumorlens.load(bundle).classify, [picture])))
""",
    "command": """
subprocess.run(
    [sys.executable, "-m", "tumorlens", "predict", picture, "--model", bundle], check=True
)
""",
    "verify": """
from tumorlens.publish.verify import verify_bundle
assert verify_bundle(bundle).passed
""",
    "quantise": """
from tumorlens.models.engine import part_of_engine
part_of_engine("quantization")
""",
}


def alone() -> list[str]:
    """The start of a command that runs without any network, where this system can do that."""
    unshare = shutil.which("unshare")
    if unshare is None or sys.platform != "linux":
        return []
    tried = subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False)
    return [unshare, "-rn"] if tried.returncode == 0 else []


def run_in(home: Path, code: str, *arguments: object, trace: Path | None = None) -> str:
    """Run code in a fresh process with a home of its own; give what it said on stderr."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SWITCHES)}
    head = """
import concurrent.futures, multiprocessing, os, subprocess, sys, tumorlens
if __name__ == "__main__":
    bundle, picture = sys.argv[1:3]
"""
    script = home / "work" / "script.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(head + "".join(f"    {line}\n" for line in code.strip().splitlines()))
    strace = shutil.which("strace") if trace else None
    watched = [strace, "-f", "-qq", "-e", "trace=connect,openat,mkdir", "-o", str(trace)]
    done = subprocess.run(
        [*alone(), *(watched if strace else ()), sys.executable, str(script), *map(str, arguments)],  # type: ignore[list-item]
        env=kept | {"HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=script.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def calls(trace: Path, pattern: str) -> list[str]:
    return [line for line in trace.read_text().splitlines() if re.search(pattern, line)]


@pytest.mark.parametrize("use", USES)
def test_nothing_is_sent_and_no_number_is_left_at_home(
    use: str, spot_bundle: Callable[..., Path], picture: Path, tmp_path: Path
) -> None:
    home, trace = tmp_path / "home", tmp_path / "trace"
    assert run_in(home, USES[use], spot_bundle(), picture, trace=trace) == ""
    left = {path.relative_to(home).parts[:2] for path in home.rglob("*") if path.is_file()}
    assert left <= {("work", "script.py"), ("work", "record")}
    if trace.exists():
        assert not calls(trace, r"connect\(.*AF_INET")
        assert not calls(trace, r'"/etc/(resolv\.conf|machine-id)"')
        made = calls(trace, r"O_CREAT|mkdir\(")
        strange = [x for x in made if str(tmp_path) not in x and "record" not in x]
        assert not [x for x in strange if not re.search(r'"(/tmp/|/dev/shm/|/dev/null)', x)]


def test_a_closed_home_is_no_warning(
    spot_bundle: Callable[..., Path], picture: Path, tmp_path: Path
) -> None:
    code = "os.environ['HOME'] = '/proc'\n" + USES["command"]
    assert run_in(tmp_path, code, spot_bundle(), picture) == ""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("command", ["predict", "explain"])
def test_what_the_documentation_says_of_the_light_commands(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = runpy.run_path(str(ROOT / "scripts" / "trace_writes.py"))
    if tool["alone"]() == []:
        pytest.skip("this system cannot run a command without its network")
    monkeypatch.setenv("PYTHONPATH", str(SOURCE.parent))
    write_phantoms(tmp_path / "set", training=0, testing=1)
    seen = tool["trace"](command, tmp_path)
    assert (seen.status, seen.sent, seen.asked) == (0, [], [])
    assert (seen.passing, seen.kept, seen.left) == ([], [], [])
    assert bool(seen.written) is (command == "explain")


def test_the_environment_is_as_it_was(
    spot_bundle: Callable[..., Path], picture: Path, tmp_path: Path
) -> None:
    code = """
before = dict(os.environ)
tumorlens.load(bundle).predict(picture)
assert dict(os.environ) == before
"""
    run_in(tmp_path, code, spot_bundle(), picture)


def test_all_imports_of_the_engine_go_through_one_door() -> None:
    pattern = re.compile(
        r"^\s*(import|from)\s+onnxruntime|import(_module|_)+\([^)]*onnxruntime", re.MULTILINE
    )
    assert pattern.search(DOOR.read_text(encoding="utf-8"))
    ours = [*SOURCE.rglob("*.py"), *(ROOT / "benchmarks").glob("*"), *(ROOT / "scripts").glob("*")]
    ours += [*(ROOT / "notebooks").glob("*"), *(ROOT / "tests").rglob("*.py")]
    texts = {p: p.read_text(encoding="utf-8") for p in ours if p.suffix in (".py", ".ipynb")}
    assert len(texts) > 100
    assert [p for p, text in texts.items() if pattern.search(text)] == [DOOR]
