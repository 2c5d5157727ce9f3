"""A broker with a listener that asks for a login, and with ACLs where that is wanted."""

from collections.abc import Mapping
from pathlib import Path

from orders_dev import ports
from orders_dev.kafka import KafkaBroker

_MODULES = "org.apache.kafka.common.security"


class SaslBroker(KafkaBroker):
    """Its detour is a listener with SASL; it knows no user of SCRAM.

    Who comes without a login, by the other listener, may do all.

    Args:
        folder: as for the base.
        users: the passwords of PLAIN by user.
        has_acls: whether these users may do only what ACLs allow.
    """

    def __init__(self, folder: Path, users: Mapping[str, str], *, has_acls: bool = False) -> None:
        port, controller, sasl = ports.choose(), ports.choose(), ports.choose()
        super().__init__(folder, port, controller, detour=(sasl, sasl))
        self._users, self._has_acls = users, has_acls
        self.sasl = f"127.0.0.1:{sasl}"

    def _properties(self) -> dict[str, object]:
        properties = super()._properties()
        mapping = str(properties["listener.security.protocol.map"])
        users = " ".join(f'user_{name}="{password}"' for name, password in self._users.items())
        properties |= {
            "listener.security.protocol.map": mapping.replace(
                "DETOUR:PLAINTEXT", "DETOUR:SASL_PLAINTEXT"
            ),
            "listener.name.detour.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
            "listener.name.detour.plain.sasl.jaas.config": f"{_MODULES}.plain.PlainLoginModule "
            f"required {users};",
            "listener.name.detour.scram-sha-256.sasl.jaas.config": f"{_MODULES}.scram."
            "ScramLoginModule required;",
        }
        if self._has_acls:
            properties |= {
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            }
        return properties
