/* Transforms of a pair of tiles, for fourier.c: compiled for float and for double.
 *
 * The includer defines REAL and WHOLE, a number of as many bits, LANES, how many are in 32 bytes, and NAME(x), which makes a
 * name of its own. Pixels, taps and results are float32 in any case.
 */

#define vector NAME(vector)
#define loose NAME(loose)
#define samples NAME(samples)
#define quarter NAME(quarter)
#define bits NAME(bits)
#define point NAME(point)
#define turn NAME(turn)
#define tile NAME(tile)
#define step_alone NAME(step_alone)
#define filter NAME(filter)
#define multiply NAME(multiply)
#define shortest_of NAME(shortest_of)
#define quarters NAME(quarters)
#define seen NAME(seen)
#define turned NAME(turned)
#define turned_back NAME(turned_back)
#define sum NAME(sum)
#define difference NAME(difference)
#define larger NAME(larger)
#define smaller NAME(smaller)
#define forward NAME(forward)
#define backward NAME(backward)
#define transpose NAME(transpose)
#define read_block NAME(read_block)
#define load_pixels NAME(load_pixels)
#define store_pixels NAME(store_pixels)
#define forward_rows NAME(forward_rows)
#define backward_rows NAME(backward_rows)
#define move_columns NAME(move_columns)
#define correlate_pair NAME(correlate_pair)
#define any_of NAME(any_of)
#define sum_of NAME(sum_of)
#define backward_lines NAME(backward_lines)
#define rest_of NAME(rest_of)
#define find_means NAME(find_means)
#define filter_columns NAME(filter_columns)
#define find_turns NAME(find_turns)
#define lay_out NAME(lay_out)
typedef REAL vector __attribute__((vector_size(LANES * sizeof(REAL))));
typedef REAL loose __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL))));
typedef float samples __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float))));
typedef float quarter __attribute__((vector_size(4 * sizeof(float)), aligned(sizeof(float))));

/* One point of eight lines. */
struct point {
    vector re, im;
};

/* cos and -sin of 2 pi k / length. */
struct turn {
    REAL re, im;
};

/* Lengths of a tile, the turns of both, the spectrum of a kernel, and memory: a buffer for eight lines, and the tile
 * between its passes, column by column with a margin, so that neighbours do not fall into one set of the cache. */
struct tile {
    ptrdiff_t rows, columns, pitch;
    struct turn *row_turns, *column_turns;
    struct point *spectrum, *line;
    REAL *re, *im;
    uint64_t *scratch;
};

/* What is done to a pair on its way, and seen of it: a constant is taken from the pixels of either plane, and what the
 * kernel makes of it is given back to the results; the sum of the squares that are left in each square of 8 x 8 values, of
 * both planes; and marks, for each row of eight results a bit, of squares in which some are below a limit. Floats without
 * signs are ordered as their bits are. */
typedef int32_t bits __attribute__((vector_size(LANES * sizeof(int32_t))));
struct seen {
    float taken[2], given[2], *energy;
    uint8_t *small[2];
    float *means[2], *least[2];
    ptrdiff_t side;
};

/* Value by value, which compilers make one instruction of; of masks they do not. */
INLINE bits larger(bits a, bits b)
{
    for (int i = 0; i < LANES; i++)
        a[i] = a[i] > b[i] ? a[i] : b[i];
    return a;
}

INLINE int any_of(bits v)
{
    int64_t parts[LANES / 2];
    memcpy(parts, &v, sizeof parts);
    for (int i = 1; i < LANES / 2; i++)
        parts[0] |= parts[i];
    return parts[0] != 0;
}

INLINE bits smaller(bits a, bits b)
{
    for (int i = 0; i < LANES; i++)
        a[i] = a[i] < b[i] ? a[i] : b[i];
    return a;
}

INLINE struct point turned(struct point p, struct turn by)
{
    return (struct point){p.re * by.re - p.im * by.im, p.re * by.im + p.im * by.re};
}

INLINE struct point turned_back(struct point p, struct turn by)
{
    return (struct point){p.re * by.re + p.im * by.im, p.im * by.re - p.re * by.im};
}

INLINE struct point sum(struct point p, struct point q) { return (struct point){p.re + q.re, p.im + q.im}; }

INLINE struct point difference(struct point p, struct point q) { return (struct point){p.re - q.re, p.im - q.im}; }

/* Four points to their sums and differences, by quarters of a turn. */
INLINE void quarters(struct point *a, struct point *b, struct point *c, struct point *d)
{
    struct point even = sum(*a, *c), odd = difference(*a, *c), other = sum(*b, *d), rest = difference(*b, *d);
    struct point quarter_turn = {rest.im, -rest.re};
    *a = sum(even, other);
    *b = sum(odd, quarter_turn);
    *c = difference(even, other);
    *d = difference(odd, quarter_turn);
}

/* The last points of a length that fours do not divide. */
INLINE ptrdiff_t shortest_of(ptrdiff_t count) { return __builtin_ctzll((unsigned long long)count) % 2 ? 2 : 4; }

/* The forward transform of eight lines, in place, but for its last step; results in the order of reversed digits. */
INLINE void forward(struct point *x, ptrdiff_t count, const struct turn *turns)
{
    for (ptrdiff_t length = count; length > 4; length /= 4) {
        ptrdiff_t quarter = length / 4, step = count / length;
        for (ptrdiff_t first = 0; first < count; first += length) {
            struct point *a = x + first, *b = a + quarter, *c = b + quarter, *d = c + quarter;
            for (ptrdiff_t j = 0; j < quarter; j++) {
                struct point p = a[j], q = b[j], r = c[j], s = d[j];
                quarters(&p, &q, &r, &s);
                a[j] = p;
                b[j] = turned(q, turns[j * step]);
                c[j] = turned(r, turns[2 * j * step]);
                d[j] = turned(s, turns[3 * j * step]);
            }
        }
    }
}

/* The inverse but for its first step, from reversed digits to natural order; `count` times too large. */
INLINE void backward(struct point *x, ptrdiff_t count, const struct turn *turns)
{
    for (ptrdiff_t length = 4 * shortest_of(count); length <= count; length *= 4) {
        ptrdiff_t quarter = length / 4, step = count / length;
        for (ptrdiff_t first = 0; first < count; first += length) {
            struct point *a = x + first, *b = a + quarter, *c = b + quarter, *d = c + quarter;
            for (ptrdiff_t j = 0; j < quarter; j++) {
                struct point p = a[j], q = turned_back(b[j], turns[j * step]);
                struct point r = turned_back(c[j], turns[2 * j * step]), s = turned_back(d[j], turns[3 * j * step]);
                quarters(&p, &s, &r, &q);
                a[j] = p;
                b[j] = s;
                c[j] = r;
                d[j] = q;
            }
        }
    }
}

/* Four points, or twice two, to their sums and differences, multiplied by those of a spectrum, and back. */
INLINE void multiply(struct point *x, const struct point *spectrum, vector *squares)
{
    for (int i = 0; i < 4; i++) {
        struct point p = x[i], k = spectrum[i];
        x[i] = (struct point){p.re * k.re - p.im * k.im, p.re * k.im + p.im * k.re};
        if (squares)
            *squares += x[i].re * x[i].re + x[i].im * x[i].im;
    }
}

/* The last step of a forward transform, the product with a spectrum, whose squares are summed if that is asked for, and the
 * first step of the inverse. */
INLINE void filter(struct point *x, ptrdiff_t count, const struct point *spectrum, vector *squares)
{
    if (shortest_of(count) == 4)
        for (ptrdiff_t n = 0; n < count; n += 4) {
            struct point p[4] = {x[n], x[n + 1], x[n + 2], x[n + 3]};
            quarters(&p[0], &p[1], &p[2], &p[3]);
            multiply(p, spectrum + n, squares);
            quarters(&p[0], &p[3], &p[2], &p[1]);
            x[n] = p[0], x[n + 1] = p[3], x[n + 2] = p[2], x[n + 3] = p[1];
        }
    else
        for (ptrdiff_t n = 0; n < count; n += 4) {
            struct point p[4] = {sum(x[n], x[n + 1]), difference(x[n], x[n + 1]), sum(x[n + 2], x[n + 3]),
                                 difference(x[n + 2], x[n + 3])};
            multiply(p, spectrum + n, squares);
            x[n] = sum(p[0], p[1]), x[n + 1] = difference(p[0], p[1]);
            x[n + 2] = sum(p[2], p[3]), x[n + 3] = difference(p[2], p[3]);
        }
}

/* The last step of a forward transform, or the first of the inverse where `back`. */
INLINE void step_alone(struct point *x, ptrdiff_t count, int back)
{
    if (shortest_of(count) == 4)
        for (ptrdiff_t n = 0; n < count; n += 4) {
            if (back) {
                struct point swapped = x[n + 1];
                x[n + 1] = x[n + 3], x[n + 3] = swapped;
            }
            quarters(x + n, x + n + 1, x + n + 2, x + n + 3);
        }
    else
        for (ptrdiff_t n = 0; n < count; n += 2) {
            struct point a = x[n], b = x[n + 1];
            x[n] = sum(a, b);
            x[n + 1] = difference(a, b);
        }
}

/* A square block to its transpose. */
INLINE void transpose(vector v[LANES])
{
#if LANES == 8
    vector t[LANES], u[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i] = __builtin_shufflevector(v[i], v[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        t[i + 1] = __builtin_shufflevector(v[i], v[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            u[i + j] = __builtin_shufflevector(t[i + j], t[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            u[i + j + 2] = __builtin_shufflevector(t[i + j], t[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int i = 0; i < 4; i++) {
        v[i] = __builtin_shufflevector(u[i], u[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        v[i + 4] = __builtin_shufflevector(u[i], u[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
#else
    vector a = __builtin_shufflevector(v[0], v[1], 0, 4, 2, 6), b = __builtin_shufflevector(v[0], v[1], 1, 5, 3, 7);
    vector c = __builtin_shufflevector(v[2], v[3], 0, 4, 2, 6), d = __builtin_shufflevector(v[2], v[3], 1, 5, 3, 7);
    v[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5), v[1] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    v[2] = __builtin_shufflevector(a, c, 2, 3, 6, 7), v[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
#endif
}

/* By halves. */
INLINE float sum_of(samples v)
{
#if LANES == 8
    quarter low = __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
    quarter low = v;
#endif
    low += __builtin_shufflevector(low, low, 2, 3, 0, 1);
    return low[0] + low[1];
}

/* The means of squares in as many rows of pixels, each of those that are there; 0 where there are none. */
INLINE void find_means(const struct plane *from, ptrdiff_t row, ptrdiff_t count, ptrdiff_t side, float *means)
{
    ptrdiff_t rows = from->rows - row < side ? from->rows - row : side;
    for (ptrdiff_t x = 0; x < count; x += side) {
        ptrdiff_t columns = from->columns - x < side ? from->columns - x : side;
        const char *first = from->data + row * from->step + x * (ptrdiff_t)sizeof(float);
        samples sum = {0};
        float rest = 0;
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = 0; j < columns; j += LANES)
                if (columns - j >= LANES)
                    sum += *(const samples *)(first + i * from->step + j * (ptrdiff_t)sizeof(float));
                else
                    for (ptrdiff_t k = j; k < columns; k++)
                        rest += ((const float *)(first + i * from->step))[k];
        *means++ = rows > 0 && columns > 0 ? (sum_of(sum) + rest) / (float)(rows * columns) : 0;
    }
}

/* A block of pixels; `none` where there are none. */
INLINE void read_block(const struct plane *from, ptrdiff_t row, ptrdiff_t x, float none, samples read[LANES])
{
    ptrdiff_t there = from->columns - x < LANES ? from->columns - x : LANES;
    const char *first = from->data + row * from->step + x * (ptrdiff_t)sizeof(float);
    if (row + LANES <= from->rows && there == LANES) {
        for (int i = 0; i < LANES; i++)
            read[i] = *(const samples *)(first + i * from->step);
        return;
    }
    for (int i = 0; i < LANES; i++) {
        float edge[LANES];
        for (int j = 0; j < LANES; j++)
            edge[j] = none;
        if (row + i < from->rows && there > 0)
            memcpy(edge, first + i * from->step, (size_t)there * sizeof(float));
        read[i] = *(const samples *)edge;
    }
}

/* Rows of pixels from `row` on as points of as many lines; zeros where there are none, and for those not `below` a size.
 * A constant is taken from all, or if `coarse` its mean from each square. */
INLINE void load_pixels(const struct plane *from, ptrdiff_t row, ptrdiff_t count, struct point *line, int imaginary,
                        const float *below, const struct seen *seen, int coarse)
{
    float taken = seen ? seen->taken[imaginary] : 0, *means = NULL;
    if (coarse)
        means = seen->means[imaginary] + row / seen->side * ((count + seen->side - 1) / seen->side);
    if (coarse && row % seen->side == 0)
        find_means(from, row, count, seen->side, means);
    for (ptrdiff_t x = 0; x < count; x += LANES) {
        vector block[LANES];
        samples read[LANES], energy = {0};
        if (coarse)
            taken = means[x / seen->side];
        read_block(from, row, x, taken, read);
        for (int i = 0; i < LANES; i++) {
            if (below)
                read[i] = (samples)((bits)read[i] & ~((samples)((bits)read[i] & NO_SIGN) >= *below));
            if (seen)
                read[i] -= taken, energy += read[i] * read[i];
            block[i] = __builtin_convertvector(read[i], vector);
        }
        if (seen) {
            float *square = seen->energy + (row * count / LANES + x) / LANES;
            *square = sum_of(energy) + (imaginary ? *square : 0);
        }
        transpose(block);
        for (int i = 0; i < LANES; i++)
            if (imaginary)
                line[x + i].im = block[i];
            else
                line[x + i].re = block[i];
    }
}

/* The other way; what lies outside the plane is dropped. */
INLINE void store_pixels(const struct plane *to, ptrdiff_t row, const struct point *line, int imaginary)
{
    for (ptrdiff_t x = 0; x < to->columns; x += LANES) {
        vector block[LANES];
        ptrdiff_t there = to->columns - x < LANES ? to->columns - x : LANES;
        for (int i = 0; i < LANES; i++)
            block[i] = imaginary ? line[x + i].im : line[x + i].re;
        transpose(block);
        for (int i = 0; i < LANES && row + i < to->rows; i++) {
            float *pixels = (float *)(to->data + (row + i) * to->step) + x;
            samples result = __builtin_convertvector(block[i], samples);
            if (there == LANES)
                *(samples *)pixels = result;
            else
                memcpy(pixels, &result, (size_t)there * sizeof(float));
        }
    }
}

/* Along the rows: pixels to the tile between passes. `second` may be NULL. */
INLINE void forward_rows(const struct tile *tile, const struct plane *first, const struct plane *second,
                         const float *below, const struct seen *seen, int coarse)
{
    for (ptrdiff_t y = 0; y < tile->rows; y += LANES) {
        load_pixels(first, y, tile->columns, tile->line, 0, below, seen, coarse);
        if (second)
            load_pixels(second, y, tile->columns, tile->line, 1, below, seen, coarse);
        else
            for (ptrdiff_t x = 0; x < tile->columns; x++)
                tile->line[x].im = (vector){0};
        forward(tile->line, tile->columns, tile->row_turns);
        step_alone(tile->line, tile->columns, 0);
        for (ptrdiff_t x = 0; x < tile->columns; x++) {
            *(loose *)(tile->re + x * tile->pitch + y) = tile->line[x].re;
            *(loose *)(tile->im + x * tile->pitch + y) = tile->line[x].im;
        }
    }
}

/* Back along the rows, results from `y` on to the lines of a buffer. */
INLINE void backward_lines(const struct tile *tile, ptrdiff_t y)
{
    for (ptrdiff_t x = 0; x < tile->columns; x++) {
        tile->line[x].re = *(const loose *)(tile->re + x * tile->pitch + y);
        tile->line[x].im = *(const loose *)(tile->im + x * tile->pitch + y);
    }
    step_alone(tile->line, tile->columns, 1);
    backward(tile->line, tile->columns, tile->row_turns);
}

/* Back along the rows; results outside the planes are dropped. */
INLINE void backward_rows(const struct tile *tile, const struct plane results[2])
{
    ptrdiff_t rows = results[0].rows > results[1].rows ? results[0].rows : results[1].rows;
    for (ptrdiff_t y = 0; y < rows; y += LANES) {
        backward_lines(tile, y);
        store_pixels(results, y, tile->line, 0);
        store_pixels(results + 1, y, tile->line, 1);
    }
}

/* The largest of eight rows of results that are dropped, or of those before. */
INLINE void rest_of(const struct tile *tile, ptrdiff_t y, bits *most)
{
    backward_lines(tile, y);
    for (ptrdiff_t x = 0; x < tile->columns; x++) {
        *most = larger(*most, (bits)__builtin_convertvector(tile->line[x].re, samples) & NO_SIGN);
        *most = larger(*most, (bits)__builtin_convertvector(tile->line[x].im, samples) & NO_SIGN);
    }
}

/* Eight columns of one part of the tile, from `x` on, as points of eight lines, or back. */
INLINE void move_columns(const struct tile *tile, ptrdiff_t x, int imaginary, int back)
{
    REAL *part = (imaginary ? tile->im : tile->re) + x * tile->pitch;
    for (ptrdiff_t y = 0; y < tile->rows; y += LANES) {
        vector block[LANES];
        for (int i = 0; i < LANES; i++)
            block[i] = !back       ? *(const loose *)(part + i * tile->pitch + y)
                       : imaginary ? tile->line[y + i].im
                                   : tile->line[y + i].re;
        transpose(block);
        for (int i = 0; i < LANES; i++)
            if (back)
                *(loose *)(part + i * tile->pitch + y) = block[i];
            else if (imaginary)
                tile->line[y + i].im = block[i];
            else
                tile->line[y + i].re = block[i];
    }
}

/* Along the columns, there and back, with the product between, whose squares are summed if that is asked for. */
INLINE void filter_columns(const struct tile *tile, double *energy)
{
    const struct point *spectrum = tile->spectrum;
    if (energy)
        *energy = 0;
    for (ptrdiff_t x = 0; x < tile->columns; x += LANES) {
        vector squares = {0};
        move_columns(tile, x, 0, 0);
        move_columns(tile, x, 1, 0);
        forward(tile->line, tile->rows, tile->column_turns);
        filter(tile->line, tile->rows, spectrum, energy ? &squares : NULL);
        spectrum += tile->rows;
        if (energy)
            *energy += (double)sum_of(__builtin_convertvector(squares, samples));
        backward(tile->line, tile->rows, tile->column_turns);
        move_columns(tile, x, 0, 1);
        move_columns(tile, x, 1, 1);
    }
}

/* Two planes of pixels to two of results: the real and the imaginary part of one transform. */
INLINE void correlate_pair(const struct tile *tile, const struct plane pixels[2], const struct plane results[2],
                           const float *below)
{
    forward_rows(tile, pixels, pixels + 1, below, NULL, 0);
    filter_columns(tile, NULL);
    backward_rows(tile, results);
}

static void find_turns(struct turn *turns, ptrdiff_t length)
{
    for (ptrdiff_t k = 0; k < length; k++) {
        double angle = 6.283185307179586476925287 * (double)k / (double)length;
        turns[k] = (struct turn){(REAL)cos(angle), (REAL)-sin(angle)};
    }
}

#if LANES == 4
/* The conjugate spectrum of taps, which makes a product a correlation, over the number of points: always in double, for what
 * rounding does to a spectrum, it does to all pictures. It is for tiles of float, eight columns side by side, if `narrow`. */
INLINE void find_spectrum_body(const struct tile *tile, const struct plane *taps, float *narrow)
{
    struct point *spectrum = tile->spectrum;
    REAL scale = 1 / ((REAL)tile->rows * (REAL)tile->columns);
    forward_rows(tile, taps, NULL, NULL, NULL, 0);
    for (ptrdiff_t x = 0; x < tile->columns; x += LANES) {
        float *to = narrow + (narrow ? x / (2 * LANES) * tile->rows * 4 * LANES + x % (2 * LANES) : 0);
        move_columns(tile, x, 0, 0);
        move_columns(tile, x, 1, 0);
        forward(tile->line, tile->rows, tile->column_turns);
        step_alone(tile->line, tile->rows, 0);
        for (ptrdiff_t y = 0; y < tile->rows; y++) {
            struct point p = {tile->line[y].re * scale, tile->line[y].im * -scale};
            if (narrow) {
                *(samples *)(to + y * 4 * LANES) = __builtin_convertvector(p.re, samples);
                *(samples *)(to + y * 4 * LANES + 2 * LANES) = __builtin_convertvector(p.im, samples);
            } else
                *spectrum++ = p;
        }
    }
}

EACH_VERSION(find_spectrum, (const struct tile *tile, const struct plane *taps, float *narrow), (tile, taps, narrow))
#endif

/* A tile in the memory that was handed in. A kernel's begins with the turns of both lengths, its spectrum follows.
 * NULL, or what is wrong. */
static const char *lay_out(const Py_buffer *kernel, const Py_buffer *memory, ptrdiff_t rows, ptrdiff_t columns,
                           struct tile *tile)
{
    ptrdiff_t pitch = rows + 2 * LANES, longest = rows > columns ? rows : columns;
    for (int i = 0; i < 2; i++) {
        ptrdiff_t length = i ? columns : rows;
        if (length < SHORTEST || length > LONGEST || length & (length - 1))
            return "the lengths of a tile are powers of two from 8 to 1024";
    }
    ptrdiff_t turns = (rows + columns) * (ptrdiff_t)sizeof(struct turn);
    if (kernel->len < turns + rows * columns / LANES * (ptrdiff_t)sizeof(struct point))
        return "a spectrum needs more memory";
    ptrdiff_t noted = rows * columns * (sizeof(REAL) > sizeof(float) ? 9 : 2);
    ptrdiff_t moved = longest * (ptrdiff_t)sizeof(struct point) + 2 * columns * pitch * (ptrdiff_t)sizeof(REAL);
    if (memory->len < moved + noted)
        return "a tile needs more memory";
    if ((size_t)kernel->buf % 64 || (size_t)memory->buf % 64)
        return "the memory begins at no multiple of 64 bytes";
    char *start = kernel->buf;
    *tile = (struct tile){.rows = rows, .columns = columns, .pitch = pitch};
    tile->column_turns = (struct turn *)start;
    tile->row_turns = tile->column_turns + rows;
    tile->spectrum = (struct point *)(start + turns);
    tile->line = memory->buf;
    tile->re = (REAL *)(tile->line + longest);
    tile->im = tile->re + columns * pitch;
    tile->scratch = (uint64_t *)(tile->im + columns * pitch);
    return NULL;
}

#undef vector
#undef loose
#undef samples
#undef quarter
#undef bits
#undef point
#undef turn
#undef tile
#undef step_alone
#undef filter
#undef multiply
#undef shortest_of
#undef quarters
#undef seen
#undef turned
#undef turned_back
#undef sum
#undef difference
#undef larger
#undef smaller
#undef forward
#undef backward
#undef transpose
#undef read_block
#undef load_pixels
#undef store_pixels
#undef forward_rows
#undef backward_rows
#undef move_columns
#undef correlate_pair
#undef any_of
#undef sum_of
#undef backward_lines
#undef filter_columns
#undef find_turns
#undef rest_of
#undef find_means
#undef lay_out
