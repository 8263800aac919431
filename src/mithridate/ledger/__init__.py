"""The ledger: what an image was when it was captured, in a record that nobody can change or drop unnoticed.

From the inside out: `merkle` (tree arithmetic), `note` and `checkpoint` (signed statements about a tree), `tiles` (a
tree as files), `keys` (who signs), `record` (what is logged), `fingerprint` (what an image is).
"""
