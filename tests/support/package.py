"""A package with entry points, as if it were installed."""

from collections.abc import Mapping
from pathlib import Path


def write_package(
    folder: Path,
    name: str,
    code: str,
    entry_points: Mapping[str, Mapping[str, str]],
    *,
    package: str = "",
    version: str = "1.0",
) -> Path:
    """Write a module NAME and the metadata of a distribution, to be found when `folder` is on sys.path; return the
    folder of the metadata.

    entry_points: by group, the object of each name, as "module:attribute". package: the name of the distribution, by
    default that of the module.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    package = package or name
    info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in names.items())
        for group, names in entry_points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")
    return info
