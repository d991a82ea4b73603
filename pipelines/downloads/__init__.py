"""Downloads that resume and verify, and archives unpacked safely."""
