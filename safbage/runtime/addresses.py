"""What lies at an http(s) address, within limits of size and time, and never on a private network
unless asked for.

A name is looked up once, and the connection goes to the very address that was checked: whoever
answers names cannot show one address to the check and another to the connection. Each redirect is
checked in the same way. Proxies are not used, since they would look the name up themselves.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from contextlib import closing, suppress
from typing import BinaryIO
from urllib.parse import quote, urljoin, urlsplit

from safbage.errors import AddressError

REDIRECTS = 5
"""How many redirects are followed."""
PATIENCE = 10
"""Seconds that a server may be silent."""
CHUNK = 65536
MOVED = (301, 302, 303, 307, 308)
PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that a gateway translates to the IPv4 address in their last 32 bits."""


def is_address(text: str) -> bool:
    """Whether a text is an http(s) address rather than a path."""
    return text[:8].lower().startswith(("http://", "https://"))


def fetch(
    address: str, into: BinaryIO, *, limit: int, seconds: float, allow_private: bool = False
) -> None:
    """Write what lies at an address into an open binary file.

    Args:
        address: beginning with ``http://`` or ``https://``.
        into: where the bytes go.
        limit: how many there may be.
        seconds: how long all of it may take, redirects included.
        allow_private: fetch from this machine and from private networks, too.

    Raises:
        AddressError: it gives no file, too much, or nothing in time; or it leads to a private
            address.
    """
    deadline, first = time.monotonic() + seconds, address
    for _ in range(REDIRECTS + 1):
        try:
            moved = request(address, into, limit, deadline, allow_private)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, AddressError):
                raise
            late = time.monotonic() >= deadline
            why = f"took longer than {seconds:g} s" if late else _reason(error)
            raise AddressError(f"{address}: {why}") from error
        if moved is None:
            return
        if address.lower().startswith("https:") and moved.lower().startswith("http:"):
            raise AddressError(f"{address} leads to an unencrypted address, {moved}")
        address = moved
    raise AddressError(f"{first} leads to more than {REDIRECTS} others, one after another")


def _reason(error):
    if isinstance(error, socket.gaierror):
        return "there is no machine of this name, or no network"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        why = (error.reason or "broken off").lower().replace("_", " ")
        return f"no encrypted connection came about: {why}"
    return str(error) or type(error).__name__


def request(address, into, limit, deadline, allow_private):
    """Fetch one address; where it leads to another, that one instead."""
    if not is_address(address):
        raise AddressError(f"{address} is no http(s) address")
    parts = urlsplit(address)
    connection = _Connection(parts, deadline - time.monotonic(), allow_private)
    stop = threading.Timer(max(0, deadline - time.monotonic()), connection.stop)
    stop.daemon = True
    stop.start()
    try:
        with closing(connection):
            target = quote(parts.path or "/", safe="%/:=&~+!$,;'@()*")
            query = f"?{quote(parts.query, safe='%/:=&~+!$,;@()*?')}" if parts.query else ""
            connection.request("GET", target + query, headers={"User-Agent": "safbage"})
            response = connection.getresponse()
            moved = response.getheader("Location")
            if response.status in MOVED and moved:
                return urljoin(address, moved)
            if response.status != 200:
                raise AddressError(f"{address}: the server says {response.status}")
            _receive(response, into, address, limit)
    finally:
        stop.cancel()
    if time.monotonic() >= deadline:  # the connection was ended from here, not by the server
        raise TimeoutError
    return None


def _receive(response, into, address, limit):
    """Write the answer's bytes into a file, at most `limit`."""
    received = 0
    if (response.length or 0) > limit:
        raise AddressError(f"{address} gives {response.length:,} bytes; at most {limit:,} are read")
    while part := response.read1(CHUNK):
        received += len(part)
        if received > limit:
            raise AddressError(f"{address} gives more than the {limit:,} bytes that are read")
        into.write(part)
    if response.length:
        raise AddressError(f"{address} broke off after {received:,} bytes")


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked."""

    def __init__(self, parts, seconds, allow_private):
        name = (parts.hostname or "").encode("idna").decode()
        if not name:
            raise ValueError("the address names no machine")
        port = parts.port or PORTS[parts.scheme.lower()]
        super().__init__(name, port, timeout=max(0.001, min(PATIENCE, seconds)))
        self.secure, self.allow_private = parts.scheme.lower() == "https", allow_private
        self.stopped, self.wire = False, None
        self.default_port = PORTS[parts.scheme.lower()]

    def connect(self):
        """Connect to the first of the name's addresses that answers; all of them are checked."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        for *_, place in found:
            if not self.allow_private and is_private(place[0]):
                raise AddressError(
                    f"{self.host} is this machine or on a private network ({place[0]}); "
                    "allow that only for addresses you trust (--allow-private)"
                )
        self.sock = self.wire = self._first(found)
        if self.secure:
            context = ssl.create_default_context()
            self.sock = self.wire = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()

    def _first(self, found):
        refused = OSError("no address answers")
        for family, kind, protocol, _, place in found:
            if self.stopped:
                break
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(self.timeout)
            try:
                sock.connect(place)
                return sock
            except OSError as error:
                sock.close()
                refused = error
        raise refused

    def stop(self):
        """End it from another thread, whatever it is waiting for.

        `sock` may be None already, while the answer is still being read.
        """
        self.stopped = True
        if self.wire is not None:
            with suppress(OSError):
                self.wire.shutdown(socket.SHUT_RDWR)


def is_private(number: str) -> bool:
    """Whether an IP address is this machine's, of a private network, or for a special use.

    An IPv4 address within an IPv6 one counts as what it is.
    """
    address = ipaddress.ip_address(number.partition("%")[0])
    if address.version == 6:
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.teredo:
            return True
        if inner:
            return is_private(str(inner))
    return not address.is_global or address.is_multicast
