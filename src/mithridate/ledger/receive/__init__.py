"""Ways in: images that arrive by DICOM C-STORE, by STOW-RS or in a watched folder are logged before anyone is told so.

From the inside out: `part10` (what was received, as a file), `body` (an object while it streams in), `intake` (the one
road into the ledger), `spool` and `quarantine` (what is kept), then the doors: `dicom` (C-STORE and C-ECHO), `stow`
(HTTP), `watch` (a folder), and `forward` (on to a PACS).  `dicom` and `forward` need the extra "receive".
"""
