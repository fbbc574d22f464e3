"""What PyInstaller needs to know of agentkit to freeze a program that uses it (entry point `pyinstaller40`)."""

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """Return the folder of the hook."""
    return [str(Path(__file__).parent / "hooks")]
