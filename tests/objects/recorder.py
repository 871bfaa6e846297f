"""An S3 server that answers everything kindly and writes down what was asked, over TLS.

Over TLS, because only there boto3 sends what R2 refuses: a checksum in a trailer.
"""

import ssl
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import Struct

_HOST = "127.0.0.1"
_LISTING = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"


class Asked(Struct, frozen=True):
    """`headers`: by name in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class Recorder(Struct, frozen=True):
    """`authority` is the file of the certificate to trust."""

    endpoint: str
    authority: Path
    asked: list[Asked]


@contextmanager
def recording(folder: Path) -> Generator[Recorder]:
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.command, self.path, headers))
            self.read_body(headers)
            body = b"" if self.command in ("PUT", "HEAD") else _LISTING
            self.send_response(200)
            self.send_header("ETag", '"d41d8cd98f00b204e9800998ecf8427e"')
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def read_body(self, headers: Mapping[str, str]) -> None:
            if "transfer-encoding" not in headers:
                self.rfile.read(int(headers.get("content-length", 0)))
                return
            while size := int(self.rfile.readline(), 16):
                self.rfile.read(size + len("\r\n"))
            self.rfile.readline()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    authority = folder / "certificate.pem"
    with ThreadingHTTPServer((_HOST, 0), Handler) as server:
        server.socket = _certified(authority).wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Recorder(f"https://{_HOST}:{server.server_address[1]}", authority, asked)
        finally:
            server.shutdown()
            thread.join()


def _certified(path: Path) -> ssl.SSLContext:
    """With a certificate for this machine's loopback, which is written to `path` with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(_HOST))]), False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
