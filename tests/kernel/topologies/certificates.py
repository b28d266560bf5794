"""Certificates for one test session, made by the openssl program."""

import shutil
import subprocess
from pathlib import Path

import pytest


class Certificates:
    """An authority with a server certificate for 127.0.0.1 and a client certificate, and an authority nobody knows."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("the openssl program, which makes the certificates of these tests, is not installed")
        self._program = program
        self._directory = directory
        self.authority = self._authority("authority")
        self.other_authority = self._authority("other")
        self.server, self.server_key = self._issue("server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        self.client, self.client_key = self._issue("client", "extendedKeyUsage=clientAuth")

    def tls_arguments(self, *, ask_clients: bool = False) -> list[str]:
        """What a server is started with."""
        return [
            "--tls-cert-file", str(self.server), "--tls-key-file", str(self.server_key),
            "--tls-ca-cert-file", str(self.authority), "--tls-auth-clients", "yes" if ask_clients else "no",
            "--tls-replication", "yes",
        ]  # fmt: skip

    def _authority(self, name: str) -> Path:
        certificate, key = self._paths(name)
        self._run("req", "-x509", "-days", "2", *_new(name), "-keyout", str(key), "-out", str(certificate))
        return certificate

    def _issue(self, name: str, extension: str) -> tuple[Path, Path]:
        certificate, key = self._paths(name)
        authority, authority_key = self._paths("authority")
        request, extensions = self._directory / f"{name}.csr", self._directory / f"{name}.ext"
        extensions.write_text(extension, "utf-8")
        self._run("req", "-new", *_new(name), "-keyout", str(key), "-out", str(request))
        signed = ["-CA", str(authority), "-CAkey", str(authority_key), "-CAcreateserial", "-days", "2"]
        self._run("x509", "-req", "-in", str(request), *signed, "-extfile", str(extensions), "-out", str(certificate))
        return certificate, key

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._directory / f"{name}.pem", self._directory / f"{name}.key"

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._program, *arguments], check=True, capture_output=True)


def _new(name: str) -> list[str]:
    """A key, and whom it belongs to."""
    return ["-subj", f"/CN={name}", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
