"""UDP through a SOCKS5 proxy, as a program that uses PySocks does it.

datagrams_through_socks.py SOCKS_PORT echo HOST PORT            exchanges datagrams with an echo and prints how many
datagrams_through_socks.py SOCKS_PORT forward PORT HOST PORT    forwards questions to a name server until it is ended
"""

import os
import select
import socket
import sys

import socks

COUNT = 200
# UDP may lose, but hardly on loopback.
TRIES = 5


def open_through(socks_port):
    through = socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM)
    through.set_proxy(socks.SOCKS5, "127.0.0.1", socks_port)
    return through


def echo(through, target):
    through.settimeout(1)
    for number in range(COUNT):
        payload = number.to_bytes(4, "big") + os.urandom(number * 7)
        for _ in range(TRIES):
            through.sendto(payload, target)
            try:
                echoed, source = through.recvfrom(65535)
                break
            except TimeoutError:
                continue
        else:
            sys.exit(f"datagram {number} has no echo")
        if echoed != payload or source != target:
            sys.exit(f"the echo of datagram {number} is another, or from {source} and not {target}")
    print(COUNT)


def forward(through, port, target):
    local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    local.bind(("127.0.0.1", port))
    # So that whoever has started it sees that it is ready.
    ready = socket.create_server(("127.0.0.1", port))
    askers = {}
    through.bind(("", 0))
    while True:
        readable, _, _ = select.select([local, through, ready], [], [])
        if ready in readable:
            ready.accept()[0].close()
        if local in readable:
            question, asker = local.recvfrom(65535)
            askers[question[:2]] = asker
            through.sendto(question, target)
        if through in readable:
            answer, source = through.recvfrom(65535)
            asker = askers.pop(answer[:2], None)
            if asker and source == target:
                local.sendto(answer, asker)


socks_port, mode, *rest = sys.argv[1:]
through = open_through(int(socks_port))
if mode == "echo":
    host, port = rest
    echo(through, (host, int(port)))
else:
    own_port, host, port = rest
    forward(through, int(own_port), (host, int(port)))
