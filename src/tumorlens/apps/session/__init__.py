"""What every face for people shares: the list of slices, the work, what is shown. No Tk here.

`view_model.ViewModel` is where to start reading: its commands are what a person can do, `poll`
says what has changed. `rows` is the list, `slice_view` the slice that is looked at with its
explanation, `state` what a face is told. The work itself is in `jobs`, done by the threads of
`worker`; inner layers are looked at in a process of their own (`keras_process`).

It may import every room before `apps`, and no other app.
"""
