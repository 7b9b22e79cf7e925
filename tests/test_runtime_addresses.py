"""What lies at an address, from a server of the test's own: within limits, and not from this machine unasked."""

import datetime
import io
import itertools
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from safbage.errors import AddressError
from safbage.runtime import addresses

BODY = b"a photo" * 1000


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        kind, _, rest = self.path[1:].partition("/")
        if kind == "to":
            self._begin(302, Location=rest)
        elif kind == "round":
            self._begin(301, Location=f"/round/{int(rest) + 1}")
        elif kind == "missing":
            self._begin(404)
        else:
            kind = kind.partition("?")[0]
            length = {"whole": len(BODY), "short": 2 * len(BODY), "huge": 10**12}.get(kind)
            self._begin(200, **({"Content-Length": length} if length else {}))
            self._send(kind)

    def _begin(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _send(self, kind):
        try:
            if kind in ("whole", "short"):
                self.wfile.write(BODY)
            while kind == "endless":
                self.wfile.write(BODY)
            while kind == "drip":
                self.wfile.write(b"x")
                time.sleep(0.05)
            if kind == "silent":
                self.server.ended.wait(5)
        except OSError:  # the other side has gone
            pass

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.ended = True, threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.ended.set()
    server.shutdown()
    server.server_close()


class _Secure(ThreadingHTTPServer):
    """Over TLS, as a context says. A client that gives the handshake up is no news."""

    def __init__(self, context):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.daemon_threads, self.ended = True, threading.Event()
        options = dict(server_side=True, do_handshake_on_connect=False)
        self.socket = context.wrap_socket(self.socket, **options)

    def handle_error(self, request, client_address):
        pass


@pytest.fixture(scope="module")
def authority():
    return pytest.importorskip("trustme").CA()


@pytest.fixture
def secure(authority, monkeypatch, tmp_path):
    """A function that starts a server whose certificate is for a name; its address at localhost. `trusted` adds the authority
    to those that this process trusts."""
    servers = []

    def secure(name="localhost", *, trusted=True, **options):
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem") if trusted else "")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, **options).configure_cert(context)
        server = _Secure(context)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"https://localhost:{server.server_port}"

    yield secure
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch(address, **options):
    into = io.BytesIO()
    given = dict(limit=100_000, seconds=5, allow_private=True) | options
    addresses.fetch(address, into, **given)
    return into.getvalue()


def test_what_lies_at_an_address_is_fetched(server):
    assert fetch(f"{server}/whole") == BODY
    assert fetch(f"{server}/to//whole") == BODY
    assert fetch(f"{server}/to/{server}/whole?a=b c&d=é") == BODY


@pytest.mark.parametrize(
    "path, word",
    [
        ("missing", "says 404"),
        ("short", "broke off after 7,000 bytes"),
        ("huge", "gives 1,000,000,000,000 bytes"),
        ("endless", "more than the 100,000 bytes"),
        ("round/0", "more than 5 others"),
        ("to/file:///etc/passwd", "no http"),
        ("to/ftp://example.org/a.jpg", "no http"),
    ],
)
def test_what_cannot_be_fetched_is_told_with_its_address(server, path, word):
    with pytest.raises(AddressError, match=word):
        fetch(f"{server}/{path}")


def test_what_lies_at_an_encrypted_address_is_fetched(secure):
    address = secure()
    assert fetch(f"{address}/whole") == BODY
    assert fetch(f"{address}/to/{address}/whole") == BODY
    with pytest.raises(AddressError, match="--allow-private"):
        fetch(f"{address}/whole", allow_private=False)


def test_a_certificate_of_an_unknown_authority_is_refused_in_words(secure):
    with pytest.raises(AddressError, match=r"certificate is not trusted: .*issuer certificate"):
        fetch(f"{secure(trusted=False)}/whole")


def test_a_certificate_of_another_machine_is_refused_in_words(secure):
    with pytest.raises(AddressError, match=r"not trusted: Hostname mismatch.*'localhost'"):
        fetch(f"{secure('photos.example')}/whole")


def test_a_certificate_that_has_expired_is_refused_in_words(secure):
    past = datetime.datetime(2020, 1, 1)
    with pytest.raises(AddressError, match="not trusted: certificate has expired"):
        fetch(f"{secure(not_after=past)}/whole")


def test_a_server_that_speaks_no_tls_is_told(server):
    with pytest.raises(AddressError, match="no encrypted connection came about: wrong version"):
        fetch(server.replace("http:", "https:") + "/whole")


def test_encrypted_to_unencrypted_is_refused_of_a_real_server(secure, server):
    with pytest.raises(AddressError, match="leads to an unencrypted address"):
        fetch(f"{secure()}/to/{server}/whole")


@pytest.mark.parametrize("path, word", [("endless", "more than"), ("drip", "took longer")])
def test_the_limits_hold_over_tls_too(secure, path, word):
    with pytest.raises(AddressError, match=word):
        fetch(f"{secure()}/{path}", seconds=1)


@pytest.mark.parametrize("path", ["drip", "silent"])
def test_an_answer_that_never_ends_is_given_up_in_time(server, path):
    began = time.monotonic()
    with pytest.raises(AddressError, match=r"took longer than 0\.4 s"):
        fetch(f"{server}/{path}", seconds=0.4, limit=10**9)
    assert time.monotonic() - began < 3


def test_headers_that_never_end_are_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip():
            connection, _ = listening.accept()
            with connection:
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                    while True:
                        connection.sendall(b"x")
                        time.sleep(0.05)
                except OSError:
                    pass

        threading.Thread(target=drip, daemon=True).start()
        with pytest.raises(AddressError, match="took longer"):
            fetch(f"http://127.0.0.1:{listening.getsockname()[1]}/", seconds=0.4)


def test_this_machine_is_refused_unless_allowed(server):
    port = server.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"):
        with pytest.raises(AddressError):
            fetch(f"http://{host}:{port}/whole", allow_private=False)
    with pytest.raises(AddressError, match="--allow-private"):
        fetch(f"{server}/whole", allow_private=False)


def test_a_redirect_to_this_machine_is_refused(server, monkeypatch):
    """The first address counts as public, by a stand-in; what it leads to does not."""
    private = addresses.is_private
    answers = itertools.chain([False], itertools.repeat(None))
    monkeypatch.setattr(
        addresses, "is_private", lambda n: private(n) if (a := next(answers)) is None else a
    )
    with pytest.raises(AddressError, match="private network"):
        fetch(f"{server}/to/{server}/whole", allow_private=False)


def test_the_connection_goes_to_the_address_that_was_checked(server, monkeypatch):
    """A name that is looked up a second time could be answered otherwise: it is looked up once."""
    real, asked, checked = socket.getaddrinfo, [], []

    def answer(host, port, *rest, **options):
        asked.append(host)
        return real("127.0.0.1", port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr(addresses, "is_private", lambda number: checked.append(number) or False)
    port = server.rpartition(":")[2]
    assert fetch(f"http://photos.example:{port}/whole", allow_private=False) == BODY
    assert asked == ["photos.example"] and checked == ["127.0.0.1"]


def test_a_name_with_one_private_address_among_others_is_refused(monkeypatch):
    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (n, 80)) for n in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
    with pytest.raises(AddressError, match=r"10\.0\.0\.1"):
        fetch("http://photos.example/", allow_private=False)


@pytest.mark.parametrize(
    "number, private",
    [
        ("8.8.8.8", False),
        ("2606:4700::1111", False),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.0.1", True),
        ("169.254.169.254", True),  # where clouds keep credentials
        ("100.64.0.1", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("255.255.255.255", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fc00::1", True),
        ("::ffff:10.0.0.1", True),
        ("2002:7f00:1::", True),
        ("64:ff9b::7f00:1", True),
        ("64:ff9b::808:808", False),
    ],
)
def test_which_addresses_are_private(number, private):
    assert addresses.is_private(number) == private


def test_from_encrypted_to_unencrypted_is_refused(monkeypatch):
    monkeypatch.setattr(addresses, "request", lambda address, *_: "http://example.org/a.jpg")
    with pytest.raises(AddressError, match="unencrypted"):
        fetch("https://example.org/a.jpg")


@pytest.mark.parametrize(
    "address",
    ["http://", "http://:80/", "http://[::1/", "http://a:port/", "http://a b/", "http://\udce9/"],
)
def test_what_is_no_address_at_all_is_told(address):
    with pytest.raises(AddressError):
        fetch(address)


@pytest.mark.parametrize(
    "text, expected",
    [("HTTP://a/b.jpg", True), ("https://a", True), ("http:/a", False), ("a.jpg", False)],
)
def test_what_counts_as_an_address(text, expected):
    assert addresses.is_address(text) == expected
