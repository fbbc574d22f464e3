"""The environments of the other libraries: each has its own under .peers/, made once from the package index."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.work import ROOT

FOLDER = ROOT / ".peers"


class Peer(NamedTuple):
    """A library that is measured. name: its module in this folder; requirements: its packages, the first its own."""

    name: str
    title: str
    requirements: tuple[str, ...]

    @property
    def version(self) -> str:
        return self.requirements[0].partition("==")[2]


CLIENT = "openai==3.57.0"
PEERS = (  # those that need least time first: what they leave is for the others
    Peer("llm", "llm", ("llm==0.36", CLIENT)),
    Peer("agno", "agno", ("agno==3.1.10", CLIENT)),
    Peer("pydantic_ai", "pydantic-ai", ("pydantic-ai-slim[openai]==2.68.0", CLIENT)),
    Peer("smolagents", "smolagents", ("smolagents[openai]==1.26.0", CLIENT)),
    Peer("openai_agents", "openai-agents", ("openai-agents==0.24.0", CLIENT)),
    Peer("langchain", "LangChain", ("langchain==1.5.2", "langchain-openai==1.7.4", CLIENT)),
)


class NotInstalledError(Exception):
    """The packages of a library can't be installed. The message has what pip said last."""


def python_of(peer: Peer) -> Path:
    """The interpreter of the library's environment, which is made where there is none with these requirements.

    Raises NotInstalledError.
    """
    folder = FOLDER / peer.name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    installed, wanted = folder / "installed", " ".join(peer.requirements)
    if installed.exists() and installed.read_text(encoding="utf-8").strip() == wanted:
        return python
    print(f"Installing {wanted} into {folder.relative_to(ROOT)} (once) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(python), "-m", "pip", "--quiet", "--quiet", "--disable-pip-version-check", "install"]
    done = subprocess.run([*pip, *peer.requirements], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise NotInstalledError(f"it can't be installed: {last}")
    installed.write_text(wanted, encoding="utf-8")
    return python
