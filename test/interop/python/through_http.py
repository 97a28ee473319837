"""HTTP through an HTTP proxy, as Python's own library does it. Prints the SHA-256 of the body.

through_http.py url PROXY_URL URL           urllib.request, which asks the proxy for the URL
through_http.py connect PROXY_PORT HOST PORT    http.client, which has the proxy connect
"""

import hashlib
import http.client
import sys
import urllib.request


def by_url(proxy, url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy}))
    with opener.open(url, timeout=30) as response:
        return response.read()


def by_connect(proxy_port, host, port):
    connection = http.client.HTTPConnection("127.0.0.1", int(proxy_port), timeout=30)
    connection.set_tunnel(host, int(port))
    connection.request("GET", "/")
    return connection.getresponse().read()


how, *arguments = sys.argv[1:]
body = by_url(*arguments) if how == "url" else by_connect(*arguments)
print(hashlib.sha256(body).hexdigest(), end="")
