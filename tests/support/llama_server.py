"""The real llama.cpp server, in a separate process, so that a crash does not end the tests.

    python -m tests.support.llama_server tiny.gguf [--port 8080] [--context 8192] [--slots 4] [--key KEY]

Prints its URL when it is ready, and exits when its standard input closes.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LlamaServer:
    """A running server: `root` is its base URL, `url` the one with /v1, `pid` the id of its process."""

    root: str
    pid: int

    @property
    def url(self) -> str:
        return f"{self.root}/v1"


@contextmanager
def serve_llama(
    model: Path, *, context: int = 8192, slots: int = 4, key: str | None = None, embeddings: bool = False
) -> Iterator[LlamaServer]:
    """Run the server on a free loopback port. embeddings: it embeds texts, and does nothing else."""
    command = [sys.executable, __file__, str(model), "--port", "0", "--context", str(context), "--slots", str(slots)]
    command += ["--key", key] if key else []
    command += ["--embeddings"] if embeddings else []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        root = process.stdout.readline().strip()
        assert root.startswith("http"), "the llama.cpp server did not start"
        try:
            yield LlamaServer(root, process.pid)
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    import xllamacpp

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--context", type=int, default=8192, help="tokens of each slot")
    parser.add_argument("--slots", type=int, default=4, help="number of concurrent requests")
    parser.add_argument("--key")
    parser.add_argument("--embeddings", action="store_true")
    options = parser.parse_args()

    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.model
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = options.port
    parameters.n_ctx = options.context * options.slots
    parameters.n_parallel = options.slots
    # several threads wait for each other by busy-waiting, which takes seconds instead of milliseconds on a busy machine
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    if options.embeddings:
        parameters.embedding = True
        parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    if options.key:
        parameters.api_keys = [options.key]
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
