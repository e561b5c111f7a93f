"""Real servers for the tests, one file a server: random free port, temporary folder, loopback only.

No assertion about the product belongs here, and no pytest fixture: benches start the same servers.
"""
