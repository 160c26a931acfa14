/* A call from Python: what it hands in is taken, understood, computed without the interpreter's lock, and given back.
 *
 * The includer has window.h; a `struct job` with a window, a target and a team; `understand`, which makes a job of the
 * buffers and says what is wrong with them; and `run`, which is negative where there is no memory.
 */

/* Whether nothing is wrong; else with an exception. */
static int accepted(const char *wrong)
{
    if (wrong)
        PyErr_SetString(PyExc_ValueError, wrong);
    return !wrong;
}

/* Their memory, the axes, and what is in them; more taps and the team may be None. False with an exception; the buffers are
 * the caller's to give back. */
static int take(PyObject *const objects[READS], PyObject *axes, Py_buffer buffers[BUFFERS], struct job *job)
{
    static const int flags[] = {PyBUF_RECORDS_RO, PyBUF_ND | PyBUF_FORMAT, PyBUF_RECORDS, PyBUF_ND | PyBUF_FORMAT,
                                PyBUF_WRITABLE};
    for (int i = 0; i < READS; i++)
        if ((i < COLUMNS || objects[i] != Py_None) && PyObject_GetBuffer(objects[i], &buffers[i], flags[i]))
            return 0;
    if (!as_axes(axes, &job->window, buffers + READS))
        return 0;
    const char *wrong = as_samples(&buffers[SOURCE], &job->window.source);
    wrong = wrong ? wrong : as_samples(&buffers[TARGET], &job->target);
    return accepted(wrong ? wrong : as_team(&buffers[TEAM], &job->team));
}

/* What `run` says of a job; negative with an exception. */
static int carry_out(PyObject *const objects[READS], PyObject *axes, struct job *job)
{
    Py_buffer buffers[BUFFERS] = {{0}};
    int result = -1;
    if (take(objects, axes, buffers, job) && accepted(understand(buffers, job))) {
        Py_BEGIN_ALLOW_THREADS
        result = run(job);
        Py_END_ALLOW_THREADS
        if (result < 0)
            PyErr_NoMemory();
    }
    for (int i = 0; i < BUFFERS; i++)
        PyBuffer_Release(&buffers[i]);
    return result;
}
