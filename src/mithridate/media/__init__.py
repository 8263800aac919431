"""The one place where files become arrays.

Every room reads images through here, so a file gives the same pixels to a model, to an attack and to a fingerprint.
"""

from __future__ import annotations

from mithridate.media.decoders import read_image, sniff
from mithridate.media.raster import MAX_PIXELS

__all__ = ["MAX_PIXELS", "read_image", "sniff"]
