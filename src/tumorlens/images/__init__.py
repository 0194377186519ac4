"""Pictures: bytes, files and arrays become slices, and a slice becomes a network's input.

The way of a picture, and which file knows it::

    read       path, bytes, open file, Pillow picture or array? How large may it be?
    kinds      what is in the file, told by its content      limits    what is too large
    raster     by Pillow        tiff   by tifffile           array     NumPy
    dicom      and a series of it                            nifti     NIfTI and MGH
    volume     slices that lie in space                      geometry  where they lie
    wide       16-bit colour    grey   one channel of many   decoding  failures, and silence
    packed     a ZIP: pictures and scans in one file
    slice      what all of them give
    outliers   padding and dead pixels left out
    head       where the head is
    prepare    the network's input, as a model's card names it
    display    256 greys for people

It imports ``errors``, ``extras`` and nothing else of this package, and of others NumPy, Pillow
and, for a TIFF, tifffile: reading must stay light. Start with `tumorlens.images.read.read_slices`,
then `tumorlens.images.prepare.prepare`. A new format is a reader in
`read._READERS`, and its first bytes in `kinds`.
"""
