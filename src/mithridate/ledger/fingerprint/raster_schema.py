"""Which attributes of a PNG, JPEG or TIFF file a fingerprint covers, fixed and numbered as in `dicom_schema`."""

from __future__ import annotations

SCHEMA = "raster/1"

ATTRIBUTES = (
    "mode",
    "width",
    "height",
    "pages",
    "palette",
    "transparency",
    "gamma",
    "chromaticities",
    "srgb_intent",
    "icc_profile",
    "orientation",
    "photometric",
    "adobe_transform",
    "jfif",
)
"""F3: mode is the kind of samples ("L", "RGB", "P", "I;16", ...), photometric a TIFF's where it is not the mode's own,
adobe_transform and jfif what tells a JPEG decoder which colors the samples are."""
