"""Results as DICOM, written into the study that they are about.

It may import every room up to ``classifier``. pydicom and highdicom are
imported late. Names of patients are copied from object to object here: they are never part of
a file's name, a message or a log. Start with `folder` (which file gets what); `study` knows the
objects that were read, `structured_report` and `capture` make the new ones, `concepts` has their
codes.
"""
