"""Which presentation contexts a receiver accepts: every storage class, in the syntax that the sender put first.

A receiver that insists on a syntax of its own choice makes senders transcode, and what arrives is then no longer what
the device made.  So the sender's order counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AllStoragePresentationContexts, register_uid
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

_NOT_IMAGES = ("1.2.840.10008.1.2.4.204", "1.2.840.10008.1.2.4.205", "1.2.840.10008.1.2.7.")
"""JPIP, which transfers a reference to pixels and not pixels, and live video over another protocol."""

SYNTAXES = tuple(str(uid) for uid in AllTransferSyntaxes if not str(uid).startswith(_NOT_IMAGES))
"""Transfer syntaxes that the fingerprint can read, as samples or as a stream."""

_RETIRED = {
    "UltrasoundMultiFrameImageStorageRetired": "1.2.840.10008.5.1.4.1.1.3",
    "NuclearMedicineImageStorageRetired": "1.2.840.10008.5.1.4.1.1.5",
    "UltrasoundImageStorageRetired": "1.2.840.10008.5.1.4.1.1.6",
    "XRayAngiographicBiPlaneImageStorageRetired": "1.2.840.10008.5.1.4.1.1.12.3",
    "VLImageStorageTrialRetired": "1.2.840.10008.5.1.4.1.1.77.1",
    "VLMultiFrameImageStorageTrialRetired": "1.2.840.10008.5.1.4.1.1.77.2",
}
"""Image classes that the standard has withdrawn and old devices still send."""

for _keyword, _uid in _RETIRED.items():
    register_uid(_uid, _keyword, StorageServiceClass)

STORAGE_CLASSES = frozenset(str(context.abstract_syntax) for context in AllStoragePresentationContexts) | frozenset(
    _RETIRED.values()
)
_VERIFICATION = str(Verification)


def verification() -> PresentationContext:
    """The context of C-ECHO, which pynetdicom wants to know before anyone has asked."""
    return build_context(_VERIFICATION)


def answer(proposed: Iterable[PresentationContext]) -> list[PresentationContext]:
    """The contexts to support in one association, made for what its requestor proposed.

    Of each class the syntaxes stand in the order in which they were proposed, which is the order in which pynetdicom
    picks one.
    """
    wanted: dict[str, dict[str, None]] = {}
    for context in proposed:
        syntaxes = wanted.setdefault(str(context.abstract_syntax), {})
        syntaxes.update(dict.fromkeys(str(syntax) for syntax in context.transfer_syntax))
    supported = [verification()]
    for uid, syntaxes in wanted.items():
        readable = [syntax for syntax in syntaxes if syntax in SYNTAXES]
        if uid in STORAGE_CLASSES:  # with none readable, the answer says that it is the syntax which does not fit
            supported.append(build_context(uid, readable or list(SYNTAXES)))
    return supported
