"""What every face for people shares: the list of slices, the work, what is shown. No Tk here.

`view_model.ViewModel` is where to start reading: its commands are what a person can do, `poll`
says what has changed. `rows` is the list, `slice_view` the slice that is looked at with its
explanation, `volumes` what moves through a volume, `state` what a face is told. The work itself
is in `opening`, `answering` and `jobs`, done by the threads of `worker`, which say what they did
in `results`; inner layers are looked at in a process of their own (`keras_process`).

It may import every room before `apps`, and no other app.
"""
