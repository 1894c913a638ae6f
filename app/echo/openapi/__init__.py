"""The OpenAPI document and the JSON Schema of the reflection.

Both are generated from the tables and types that the code uses.
"""
