"""The ledger over HTTP: submit, verify, prove, read, watch.

`create_app` is the application, `server.make_server` runs it, `credentials` says who may do what.
"""
