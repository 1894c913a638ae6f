"""What the service is made of: its locks, their licences, the image's bill of materials, what is known against it."""
