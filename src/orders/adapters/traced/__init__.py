"""Decorators of ports that record spans of OpenTelemetry; imported only if tracing is on."""
