"""The files of the page, from wherever the package is: a folder, a zip file, a frozen program."""

import atexit
import logging
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path

logger = logging.getLogger("agentkit.http")

NAMED = ("index.html", "docs.html", "page.js")
"""What has to be there."""

MISSING = (
    "the files of the chat page are missing in this installation, so that there is no / and no /docs: a frozen program "
    "has to include the data files of agentkit (PyInstaller: --collect-data agentkit)"
)


def page_folder() -> Path | None:
    """Return the folder of the page's files. Of a package in a zip file it is a copy, which is removed when the process
    ends. None where the files are missing, of which the log is told."""
    found = files("agentkit.serving.http").joinpath("static")
    if not all(found.joinpath(name).is_file() for name in NAMED):
        logger.warning("%s", MISSING)
        return None
    if isinstance(found, Path):
        return found
    copy = Path(tempfile.mkdtemp(prefix="agentkit-page-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    for each in found.iterdir():
        if each.is_file():
            (copy / each.name).write_bytes(each.read_bytes())
    return copy
