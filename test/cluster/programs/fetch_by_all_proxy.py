"""What Python programs do that know SOCKS: fetches by the proxy of ALL_PROXY, to which the name is given.

fetch_by_all_proxy.py URL
"""

import http.client
import os
import sys
import urllib.parse

import socks

proxy = urllib.parse.urlsplit(os.environ["ALL_PROXY"])
if proxy.scheme != "socks5h":
    sys.exit(f"ALL_PROXY is of another kind: {proxy.scheme}")
url = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection(url.hostname, url.port or 80)
connection.sock = socks.create_connection(
    (connection.host, connection.port),
    proxy_type=socks.SOCKS5,
    proxy_addr=proxy.hostname,
    proxy_port=proxy.port,
    proxy_rdns=True,
)
connection.request("GET", url.path)
response = connection.getresponse()
if response.status != 200:
    sys.exit(f"status {response.status}")
sys.stdout.buffer.write(response.read())
