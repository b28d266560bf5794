"""Every example of docs/client.md runs as it stands, against a cluster of real processes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.command.reelway import Reelway
from tests.media_samples import MediaFactory

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "client.md").read_text(), re.DOTALL | re.MULTILINE)
SAID = ("job.completed Completed(outputs=", "FORMAT_UNKNOWN", "done: ['talk.opus']")
"""A part of what each of them prints."""


def test_the_examples(reelway: Reelway, media_factory: MediaFactory) -> None:
    assert len(EXAMPLES) == len(SAID)
    shutil.copy(media_factory.clip(), reelway.folder / "talk.mp4")
    with reelway.up() as up:
        for example, said in zip(EXAMPLES, SAID, strict=True):
            ended = subprocess.run(
                [sys.executable, "-P", "-c", example],
                cwd=reelway.folder,
                env={**reelway.environment, "REELWAY_URL": up.url, "REELWAY_KEY": up.key},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert (ended.returncode, ended.stderr) == (0, "")
            assert said in ended.stdout
    assert (reelway.folder / "talk.mp3").stat().st_size > 0
