"""What is wrong or dangerous about the settings of access: for the start and `orders doctor`."""

from datetime import UTC, datetime
from pathlib import Path

from orders.addresses import is_loopback
from orders.config import Settings
from orders.domain.ports import Finding
from orders.entrypoints.http.access.key_file import KeyFileError, read

_RENEWAL_DAYS = 14
_PART, _WHAT = "configuration", "access"


def is_open(settings: Settings) -> bool:
    """Whether anybody who reaches this machine may use the API."""
    return settings.http_auth == "none" and not is_loopback(settings.http_host)


def keys_fault(settings: Settings) -> str | None:
    """Return what is wrong with the file of keys, or None."""
    if settings.http_auth != "keys":
        return None
    try:
        read(Path(settings.http_keys_file or ""))
    except KeyFileError as error:
        return f"ORDERS_HTTP_KEYS_FILE: {error}"
    return None


def findings(settings: Settings) -> list[Finding]:
    """Return what `orders doctor` says; nothing where only this machine reaches an open API."""
    found = []
    if is_open(settings):
        text = f"whoever reaches {settings.http_host} may read and send orders: no key is needed"
        advice = "set ORDERS_HTTP_AUTH, or ORDERS_HTTP_HOST=127.0.0.1"
        found.append(Finding(_PART, _WHAT, "problem", text, advice))
    if settings.http_auth == "keys":
        found.append(_of_keys(settings))
    if settings.http_auth == "jwt":
        found.append(Finding(_PART, _WHAT, "ok", f"tokens of {settings.http_jwt_issuer}"))
    if settings.http_auth != "none" and not _is_encrypted(settings):
        text = f"keys and tokens for {settings.http_host} travel without TLS"
        advice = (
            "set ORDERS_HTTP_TLS_CERTIFICATE, or a proxy in front and ORDERS_HTTP_TRUSTED_PROXIES"
        )
        found.append(Finding(_PART, "tls", "warning", text, advice))
    if settings.http_tls_certificate is not None:
        found.append(_of_certificate(Path(settings.http_tls_certificate)))
    return found


def _of_keys(settings: Settings) -> Finding:
    if fault := keys_fault(settings):
        return Finding(_PART, _WHAT, "problem", fault, "see `orders keys --help`")
    now = datetime.now(UTC)
    keys = read(Path(settings.http_keys_file or ""))
    valid = [key for key in keys if key.expires is None or key.expires > now]
    if not valid:
        advice = "create one: `orders keys new --help`"
        return Finding(_PART, _WHAT, "problem", "no key is valid: nobody is let in", advice)
    return Finding(_PART, _WHAT, "ok", f"valid keys: {len(valid)} of {len(keys)}")


def _of_certificate(path: Path) -> Finding:
    # Imported here: `orders api` needs it for tokens alone.
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    ends = load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    days = (ends - datetime.now(UTC)).days
    text = f"the certificate is valid until {ends:%Y-%m-%d}"
    advice = "renew it, and restart the API"
    if days < 0:
        return Finding(
            _PART, "tls", "problem", f"the certificate has expired: {ends:%Y-%m-%d}", advice
        )
    if days < _RENEWAL_DAYS:
        return Finding(_PART, "tls", "warning", text, advice)
    return Finding(_PART, "tls", "ok", text)


def _is_encrypted(settings: Settings) -> bool:
    return (
        is_loopback(settings.http_host)
        or settings.http_tls_certificate is not None
        or settings.http_trusted_proxies is not None
    )
