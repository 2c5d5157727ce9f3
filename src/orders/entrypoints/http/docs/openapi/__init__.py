"""The OpenAPI document, made from the routes, the structs and the problems of the code."""
