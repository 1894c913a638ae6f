"""Supply chain: locks, licences, bill of materials, vulnerabilities."""
