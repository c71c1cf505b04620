"""Leads names and ports elsewhere, before any SDK is loaded.

The SDKs know only the ports 443 and 8883. `CONFORMANCE_REDIRECT` holds rules
such as `hub.test:8883=127.0.0.1:40123`, separated by spaces; a look-up of the
left side gives the right one. Nothing of an SDK, of TLS or of a certificate's
check is touched: the SDK still speaks to the name that it was given.
"""

import os
import socket

_rules = {}
for _rule in os.environ.get("CONFORMANCE_REDIRECT", "").split():
    _from, _to = _rule.split("=")
    _rules[tuple(_from.rsplit(":", 1))] = tuple(_to.rsplit(":", 1))

_look_up = socket.getaddrinfo


def _redirected(host, port, *args, **kwargs):
    name = host.decode() if isinstance(host, bytes) else host
    host, port = _rules.get((name, str(port)), (host, port))
    return _look_up(host, int(port) if isinstance(port, str) and port.isdigit() else port, *args, **kwargs)


socket.getaddrinfo = _redirected
