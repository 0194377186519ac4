"""Results as DICOM, written into the study that they are about; and scans without their patient.

It may import every room up to ``classifier``. pydicom, highdicom and dicom-anonymizer
are imported late. Names of patients are copied from object to object here: they are never part of
a file's name, a message or a log. Start with `folder` (which file gets what); `study` knows the
objects that were read, `structured_report` and `capture` make the new ones, `concepts` has their
codes. `deidentify` stands apart, with `profile` for the standard's table.
"""
