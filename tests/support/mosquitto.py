"""Runs a real Mosquitto on a free loopback port."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.ports import free_port, wait_for

EXECUTABLE = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@dataclass
class Broker:
    """A broker that can be stopped and restarted; it keeps its state unless `is_persistent` is False."""

    folder: Path
    port: int
    options: tuple[str, ...] = ("allow_anonymous true",)
    is_persistent: bool = True
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        lines = [f"listener {self.port} 127.0.0.1", "max_queued_messages 0"]
        if self.is_persistent:
            lines += ["persistence true", f"persistence_location {self.folder}/"]
            lines += ["autosave_interval 1", "autosave_on_changes true"]
        lines += self.options
        if os.getuid() == 0:
            lines.append("user root")  # otherwise it switches to another user, who may not write here
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text("\n".join(lines) + "\n")
        self.folder.chmod(0o777)
        self.process = subprocess.Popen([str(EXECUTABLE), "-c", str(configuration)], stderr=subprocess.DEVNULL)
        wait_for(self.port, "Mosquitto")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)  # on which it saves its state
        self.process.wait()


@contextmanager
def serve_mqtt(folder: Path, *options: str, is_persistent: bool = True) -> Iterator[Broker]:
    broker = Broker(folder, free_port(), options or ("allow_anonymous true",), is_persistent)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
