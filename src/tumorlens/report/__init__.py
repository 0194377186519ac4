"""Pages and figures for people, all in one style: the last room before the applications.

It may import every room but ``apps``. Nothing here measures: it shows what `evaluate`, `data`
and `train` found. Start with `page`, which fills the Jinja templates in ``templates`` (one style
sheet, everything escaped), and `style`, the look of every figure; then one file a report.

Another page, or another part of one, is a template and the file that fills it.
"""
