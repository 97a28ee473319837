"""What Python programs do that know SOCKS: fetches by the proxy of ALL_PROXY, to which the name is given.

fetch_by_all_proxy.py URL
"""

import os
import socket
import sys
import urllib.parse
import urllib.request

import socks

proxy = urllib.parse.urlsplit(os.environ["ALL_PROXY"])
if proxy.scheme != "socks5h":
    sys.exit(f"ALL_PROXY is of another kind: {proxy.scheme}")
socks.set_default_proxy(socks.SOCKS5, proxy.hostname, proxy.port, rdns=True)
socket.socket = socks.socksocket
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.buffer.write(opener.open(sys.argv[1]).read())
