"""Certificates by the `openssl` command: an authority of the tests' own, and what it signs."""

import ssl
import subprocess
from pathlib import Path

_CONFIG = """
[ca]
default_ca = tests
[tests]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
x509_extensions = server
unique_subject = no
[any]
commonName = supplied
[server]
subjectAltName = {name}
"""
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Signs certificates of servers; ``file`` is what clients are to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._issued = 0
        folder.mkdir()
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01")
        self._openssl(
            *("req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem"),
            *("-subj", "/CN=tests", "-days", "2"),
        )

    @property
    def file(self) -> str:
        return str(self._folder / "ca.pem")

    def issue(self, name: str = "IP:127.0.0.1", end: str = "20490101000000Z") -> ssl.SSLContext:
        """The server's side of TLS with a certificate for ``name`` that is valid until ``end``."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue_files(name, end))
        return context

    def issue_files(
        self,
        name: str = "IP:127.0.0.1",
        end: str = "20490101000000Z",
        password: str | None = None,
    ) -> tuple[str, str]:
        """A certificate for ``name`` that is valid until ``end``, and its key; each anew."""
        self._issued += 1
        certificate, key = (f"{self._issued}-{part}.pem" for part in ("certificate", "key"))
        (self._folder / "ca.cnf").write_text(_CONFIG.format(name=name))
        self._openssl("req", "-new", *_NEW_KEY, "-keyout", key, "-out", "r.pem", "-subj", "/CN=x")
        self._openssl(
            *("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"),
            *("-in", "r.pem", "-out", certificate),
            *("-startdate", "20200101000000Z", "-enddate", end),
        )
        if password is not None:
            plain, key = key, f"encrypted-{key}"
            self._openssl(
                *("pkcs8", "-topk8", "-in", plain, "-out", key, "-passout", f"pass:{password}")
            )
        return str(self._folder / certificate), str(self._folder / key)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(("openssl", *arguments), cwd=self._folder, check=True, capture_output=True)
