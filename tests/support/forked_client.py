"""The other side of `forked_cli`: runs a command in a process that the server forks. It imports nothing slow."""

import array
import marshal
import os
import signal
import socket
import sys


def main() -> None:
    """Give the server all that the command needs, and end as its process does."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[1])
    given = marshal.dumps((os.getcwd(), sys.argv[2:], dict(os.environ)))
    streams = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
    server.sendmsg([len(given).to_bytes(8, "big")], streams)
    server.sendall(given)
    for place in range(3):  # its process has them: a pipe of which it closes its end is closed
        os.close(place)
    with server.makefile("r") as answers:
        pid = int(answers.readline())
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, lambda number, _: os.kill(pid, number))
        status = int(answers.readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main()
