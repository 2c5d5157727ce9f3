"""The AsyncAPI document, made from the same types as the OpenAPI document."""
