"""What the echo is, told to programs: an OpenAPI document and a JSON Schema, made of the tables that it runs by."""
