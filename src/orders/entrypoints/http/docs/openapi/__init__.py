"""The OpenAPI document, made from the routes, structs and problem types in the code."""
