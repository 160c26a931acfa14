/* An axis of a convolution: which positions of its window each output reads, and which pixel stands at each of them. */

#include <stddef.h>
#include <stdint.h>

enum { BEYOND = -1 };

struct axis {
    ptrdiff_t stride, dilation;
    ptrdiff_t size;        /* positions of the window, inside the image and beyond it */
    const int32_t *reads;  /* the pixel that stands at each of them, BEYOND where `outside` does; NULL: its own */
    double outside;
    ptrdiff_t first, last; /* the longest stretch of positions whose pixels follow each other */
};

static inline ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

static inline ptrdiff_t larger(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

static inline ptrdiff_t parts(ptrdiff_t whole, ptrdiff_t most) { return (whole + most - 1) / most; }

static inline ptrdiff_t pixel_at(const struct axis *axis, ptrdiff_t position)
{
    return axis->reads ? axis->reads[position] : position;
}

/* Whether only pixels of an axis of `pixels` stand in the window; finds its longest stretch. */
static inline int stands(struct axis *axis, ptrdiff_t pixels)
{
    axis->size = axis->reads ? axis->size : pixels;
    axis->first = 0, axis->last = axis->reads ? 0 : pixels;
    for (ptrdiff_t i = 0, begin = 0; axis->reads && i < axis->size; i++) {
        ptrdiff_t pixel = axis->reads[i];
        if (pixel < BEYOND || pixel >= pixels)
            return 0;
        if (pixel == BEYOND)
            begin = i + 1;
        else if (i > begin && pixel != axis->reads[i - 1] + 1)
            begin = i;
        if (i + 1 - begin > axis->last - axis->first)
            axis->first = begin, axis->last = i + 1;
    }
    return 1;
}

/* Whether every position holds a pixel, the next one at each: what lies in memory as the window wants it. */
static inline int unbroken(const struct axis *axis) { return axis->last - axis->first == axis->size; }

/* Whether the constant stands anywhere. */
static inline int meets_outside(const struct axis *axis)
{
    for (ptrdiff_t i = 0; axis->reads && i < axis->size; i++)
        if (axis->reads[i] == BEYOND)
            return 1;
    return 0;
}

/* Whether `outputs` places of `taps` taps fit on the window, without overflow for any numbers. What a single place or
 * tap leaves without a meaning becomes 1. */
static inline int fits(ptrdiff_t outputs, ptrdiff_t taps, struct axis *axis)
{
    if (outputs < 1 || taps < 1 || axis->size < 1 || axis->stride < 1 || axis->dilation < 1)
        return 0;
    axis->stride = outputs > 1 ? axis->stride : 1;
    axis->dilation = taps > 1 ? axis->dilation : 1;
    ptrdiff_t rest = axis->size - 1;
    return outputs - 1 <= rest / axis->stride && taps - 1 <= (rest - (outputs - 1) * axis->stride) / axis->dilation;
}

/* The pixels that Python says are read: None or int32. False with an exception; the buffer is the caller's to release. */
static inline int as_reads(PyObject *reads, struct axis *axis, Py_buffer *buffer)
{
    if (reads == Py_None)
        return 1;
    if (PyObject_GetBuffer(reads, buffer, PyBUF_ND | PyBUF_FORMAT))
        return 0;
    if (buffer->ndim != 1 || strcmp(buffer->format, "i") || buffer->itemsize != 4 || !buffer->shape[0] ||
        buffer->shape[0] > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the pixels that are read are int32, in one dimension");
        return 0;
    }
    axis->reads = buffer->buf, axis->size = buffer->shape[0];
    return 1;
}
