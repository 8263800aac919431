"""Witnesses: whoever co-signs the one history of a log that they have seen (C2SP tlog-witness).

`core` decides and remembers, `server` speaks HTTP for it, `client` asks a witness, `collect` asks as many as a policy
wants.
"""
