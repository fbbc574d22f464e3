"""A real Mosquitto on a port of its own on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

EXECUTABLE = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


@dataclass
class Broker:
    """A broker that can be stopped and started again with what it had kept."""

    folder: Path
    port: int
    options: tuple[str, ...] = ("allow_anonymous true",)
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        lines = [f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {self.folder}/"]
        lines += ["autosave_interval 1", "autosave_on_changes true", "max_queued_messages 0", *self.options]
        if os.getuid() == 0:
            lines.append("user root")  # else it becomes another user, who may not write here
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text("\n".join(lines) + "\n")
        self.folder.chmod(0o777)
        self.process = subprocess.Popen([str(EXECUTABLE), "-c", str(configuration)], stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("Mosquitto did not start")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)  # on which it keeps what it has
        self.process.wait()


@contextmanager
def serve_mqtt(folder: Path, *options: str) -> Iterator[Broker]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    broker = Broker(folder, port, options or ("allow_anonymous true",))
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
