"""Which DICOM attributes a fingerprint covers: the lists, fixed and numbered, because a record holds them by position.

A list never changes once records exist that follow it: what is to be added goes into a schema with the next number.
"""

from __future__ import annotations

SCHEMA = "dicom/1"
DOCUMENT_SCHEMA = "dicom-document/1"

CODING = ("TransferSyntaxUID", "PhotometricInterpretation", "PlanarConfiguration")
"""How the stream is coded: free to change when the stream is coded anew, and only then.  F3 lists the color space too,
without those that a codec only uses inside."""

_PIXELS = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "PixelAspectRatio",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "FloatPixelPaddingValue",
    "FloatPixelPaddingRangeLimit",
    "DoubleFloatPixelPaddingValue",
    "DoubleFloatPixelPaddingRangeLimit",
    "PixelIntensityRelationship",
    "PixelIntensityRelationshipSign",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
_DISPLAY = (
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "PresentationLUTShape",
    "PresentationLUTSequence",
    "RealWorldValueMappingSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "AlphaPaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "AlphaPaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "SegmentedAlphaPaletteColorLookupTableData",
    "PaletteColorLookupTableUID",
    "ICCProfile",
    "ColorSpace",
    "ShutterShape",
    "ShutterLeftVerticalEdge",
    "ShutterRightVerticalEdge",
    "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge",
    "CenterOfCircularShutter",
    "RadiusOfCircularShutter",
    "VerticesOfThePolygonalShutter",
    "ShutterPresentationValue",
)
_GEOMETRY = (
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "ImageOrientationSlide",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelSpacingCalibrationType",
    "EstimatedRadiographicMagnificationFactor",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SliceLocation",
    "PatientOrientation",
    "PatientPosition",
    "ViewPosition",
    "ViewCodeSequence",
    "ImageLaterality",
    "Laterality",
    "BodyPartExamined",
    "AnatomicRegionSequence",
    "FieldOfViewOrigin",
    "FieldOfViewRotation",
    "FieldOfViewHorizontalFlip",
    "SequenceOfUltrasoundRegions",
    "FrameIncrementPointer",
    "FrameTime",
    "FrameTimeVector",
)
_ACQUISITION = (
    "Modality",
    "ImageType",
    "BurnedInAnnotation",
    "Units",
    "SUVType",
    "CountsSource",
    "DecayCorrection",
    "CorrectedImage",
    "DoseCalibrationFactor",
    "FrameReferenceTime",
    "RadiopharmaceuticalInformationSequence",
    "PatientWeight",
    "PatientSize",
    "DoseUnits",
    "DoseType",
    "DoseGridScaling",
    "GridFrameOffsetVector",
)

TOP_LEVEL = _PIXELS + _DISPLAY + _GEOMETRY + _ACQUISITION
"""What a program that reads the image may take into account, at the top level of the data set."""

OVERLAY_ELEMENTS = {
    0x0010: "OverlayRows",
    0x0011: "OverlayColumns",
    0x0015: "NumberOfFramesInOverlay",
    0x0040: "OverlayType",
    0x0050: "OverlayOrigin",
    0x0051: "ImageFrameOrigin",
    0x0100: "OverlayBitsAllocated",
    0x0102: "OverlayBitPosition",
    0x3000: "OverlayData",
}
OTHER_OVERLAY = "OtherOverlayAttributes"
"""The planes drawn over an image: one entry for each attribute, over all of the groups 6000 to 60FE."""

MACROS = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PlanePositionSlideSequence": (
        "XOffsetInSlideCoordinateSystem",
        "YOffsetInSlideCoordinateSystem",
        "ZOffsetInSlideCoordinateSystem",
        "ColumnPositionInTotalImagePixelMatrix",
        "RowPositionInTotalImagePixelMatrix",
    ),
    "PlanePositionVolumeSequence": ("ImagePositionVolume",),
    "PlaneOrientationVolumeSequence": ("ImageOrientationVolume",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    "PixelIntensityRelationshipLUTSequence": ("LUTDescriptor", "LUTData", "LUTFunction"),
    "RealWorldValueMappingSequence": ("RealWorldValueSlope", "RealWorldValueIntercept", "RealWorldValueLUTData"),
    "FrameAnatomySequence": ("FrameLaterality", "AnatomicRegionSequence"),
    "FrameContentSequence": ("StackID", "InStackPositionNumber", "TemporalPositionIndex", "DimensionIndexValues"),
    "FieldOfViewSequence": ("FieldOfViewOrigin", "FieldOfViewRotation", "FieldOfViewHorizontalFlip"),
    "FrameDisplayShutterSequence": ("ShutterShape", "ShutterPresentationValue"),
    "FramePixelShiftSequence": ("SubtractionItemID", "MaskSubPixelShift"),
    "SegmentIdentificationSequence": ("ReferencedSegmentNumber",),
    "PETFrameCorrectionFactorsSequence": ("PrimaryPromptsCountsAccumulated", "SliceSensitivityFactor"),
}
"""Functional groups, which state for one frame or for all what older images state at the top level."""

SCOPES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
OTHER_IN_MACRO = "(other)"

IDENTITY = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SOPClassUID",
    "FrameOfReferenceUID",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "InstitutionName",
    "StationName",
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "DeviceUID",
    "SoftwareVersions",
    "StudyDate",
    "StudyTime",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContentDate",
    "ContentTime",
    "TimezoneOffsetFromUTC",
)
"""Whose image it is, and by which device and when it was made."""


def _macro_names() -> tuple[str, ...]:
    names = [f"{scope}.items" for scope in SCOPES]
    for scope in SCOPES:
        for macro, keywords in MACROS.items():
            names += [f"{scope}.{macro}.{keyword}" for keyword in (*keywords, OTHER_IN_MACRO)]
    return tuple(names)


ATTRIBUTES = (*TOP_LEVEL, *OVERLAY_ELEMENTS.values(), OTHER_OVERLAY, *_macro_names())
"""F3: the names by which a changed attribute is reported."""
