"""`python fuzz/run_atheris.py TARGET [CORPUS] [libFuzzer options]`: coverage-guided fuzzing of one parser.

Targets are those of tests/fuzz/targets.py.  Needs atheris (`pip install atheris`), which exists for Linux and macOS.
Bytes that break a target are written to the current folder; give their file as the corpus to see it again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def main() -> None:
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris")
    with atheris.instrument_imports(include=["mithridate"]):
        from fuzz.targets import TARGETS
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"name a target: {', '.join(TARGETS)}")
    target, originals = TARGETS[sys.argv.pop(1)]

    def one_input(data: bytes) -> None:
        target(data)

    with tempfile.TemporaryDirectory() as seeds:
        for number, data in enumerate(originals()):
            one_input(data)
            (Path(seeds) / f"{number}").write_bytes(data)
        atheris.Setup([*sys.argv, seeds], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
