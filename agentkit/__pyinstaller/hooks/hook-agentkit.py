"""PyInstaller's hook: the data files of agentkit, and its modules, which are loaded by name."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

datas = collect_data_files("agentkit")
hiddenimports = collect_submodules("agentkit", filter=lambda name: ".__pyinstaller" not in name, on_error="ignore")
