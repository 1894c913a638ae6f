"""Programs that the tests run, such as helm, kind and kubectl."""
