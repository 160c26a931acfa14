/* A sum of products in the order in which the loops of kernels.h take it: taps and what they read, cut so that a vector
 * of pixels that is loaded serves several outputs, and so that long sums lose little. The includer has axis.h.
 */

enum {
    TALLEST = 4,    /* rows, or filters, of the tallest block of outputs, */
    ABREAST = 3,    /* and vectors in each of them: twelve sums, three pixels and a tap are sixteen registers */
    WIDEST = 8,     /* vectors of a block of one row */
    MOST_APART = 3, /* vectors from one in a row of a block to the next: colours have 1, 3 or 4 samples */
    BURST = 49,     /* taps that are summed one by one before they are added to a total; or the root of all taps */
};

/* Kernels of high x wide taps, one for each plane; those of the next filter follow. */
struct taps {
    const float *values;
    ptrdiff_t planes, high, wide;
};

static inline ptrdiff_t count_taps(const struct taps *taps) { return taps->planes * taps->high * taps->wide; }

/* A block of vectors of sums: of some rows of one filter, which read some of the same pixels, or of a row of some filters,
 * which read all the same. */
enum shape { ROW, ROWS, FILTERS, SHAPES };
static const struct {
    int rows, filters;
} SHAPE[SHAPES] = {{1, 1}, {4, 1}, {1, 4}};

/* What one tap of a block reads: a row of a strip's input, and bytes from an output's place in it. */
struct read {
    ptrdiff_t row, offset;
};

/* Successive taps whose outputs share pixels alike. `sharing` is the number of rows of a block that read one place, while
 * the others read another; 0: each row reads its own. BETWEEN some: the vectors of each row that read one place. Behind it
 * the first burst ends in some vectors of each row, in others a later one: bits, by their place. */
struct run {
    ptrdiff_t taps, reads; /* `reads` of each tap */
    int sharing;
    unsigned first, later;
};
enum { SIDEWAYS = 8 };

/* The vectors of a row from one on to before another. */
#define BETWEEN(from, to) (SIDEWAYS + (from) * (ABREAST + 1) + (to))

/* A sum of products for a block of one or of four rows, in the order in which the loops take it. A long sum is cut into
 * bursts that are summed first: float32 loses less. */
struct recipe {
    float *taps;      /* of each tap the values that a block needs, as many as it has rows or filters */
    struct read *reads;
    struct run *runs; /* up to one without taps */
    ptrdiff_t count;  /* of reads */
    ptrdiff_t gap;    /* vectors from one in a row of a block to the next */
    int several;      /* bursts */
    float scale, bias;
};

/* Where a recipe goes on. */
struct pen {
    struct run *run;
    struct read *read;
    float *value;
    ptrdiff_t pending, burst; /* taps since a burst began, and at its end */
    int several;              /* bursts */
};

/* Begin a tap before which bursts end in some vectors. */
static void begin_place(struct pen *pen, ptrdiff_t sharing, ptrdiff_t reads, unsigned first, unsigned later)
{
    if (pen->run->taps && (pen->run->sharing != sharing || first || later)) {
        pen->run->first = first, pen->run->later = later;
        pen->several |= first || later;
        pen->run++;
    }
    *pen->run = (struct run){pen->run->taps + 1, reads, (int)sharing, 0, 0};
    pen->run[1].taps = 0;
}

/* The same where all outputs have had as many taps. */
static void begin_tap(struct pen *pen, ptrdiff_t sharing, ptrdiff_t reads)
{
    int ends = pen->pending == pen->burst, several = pen->several;
    begin_place(pen, sharing, reads, ends && !several ? ~0u : 0, ends && several ? ~0u : 0);
    pen->pending = ends ? 1 : pen->pending + 1;
}

/* Output row t reads with kernel row i the input row i + t. Taken in the order k, k - 1, ... (after 0 the last), the
 * kernel rows of the outputs share input row k, or k + high where they began again. */
static void write_rows(struct pen *pen, struct taps taps, ptrdiff_t row, const ptrdiff_t *offsets, ptrdiff_t tall)
{
    ptrdiff_t high = taps.high;
    for (ptrdiff_t k = 0; k < high; k++) {
        ptrdiff_t shared = high < tall - 1 ? 0 : smaller(k + 1, tall), reads = shared == tall ? 1 : shared ? 2 : tall;
        for (ptrdiff_t tap = 0; tap < taps.wide; tap++) {
            begin_tap(pen, shared, reads);
            for (ptrdiff_t i = 0; i < reads; i++)
                *pen->read++ = (struct read){row + k + (shared ? i * high : i), offsets[tap]};
            for (ptrdiff_t t = 0; t < tall; t++)
                *pen->value++ = taps.values[(shared ? (k - t + high) % high : k) * taps.wide + tap];
        }
    }
}

/* The same sideways, for one kernel row and four rows of outputs: from one vector of a row to the next, the same pixels
 * are read `turn` taps earlier. Each vector takes its taps from the first to the last, after `before` others: what a result
 * is does not depend on its column. */
static void write_sideways(struct pen *pen, struct taps taps, ptrdiff_t row, ptrdiff_t pace, ptrdiff_t turn,
                           ptrdiff_t before)
{
    for (ptrdiff_t k = 0; k < taps.wide + (ABREAST - 1) * turn; k++) {
        ptrdiff_t from = k < taps.wide ? 0 : (k - taps.wide) / turn + 1, to = smaller(k / turn + 1, ABREAST);
        unsigned first = 0, later = 0;
        for (ptrdiff_t v = from; v < to; v++) {
            ptrdiff_t done = before + k - v * turn;
            if (done && done % pen->burst == 0)
                *(done == pen->burst ? &first : &later) |= 1u << v;
        }
        begin_place(pen, BETWEEN(from, to), TALLEST, first, later);
        for (ptrdiff_t t = 0; t < TALLEST; t++)
            *pen->read++ = (struct read){row + t, k * pace};
        for (ptrdiff_t v = 0; v < TALLEST; v++)
            *pen->value++ = from <= v && v < to ? taps.values[k - v * turn] : 0;
    }
}

/* Four filters read the same. */
static void write_filters(struct pen *pen, struct taps taps, const ptrdiff_t *offsets)
{
    ptrdiff_t total = count_taps(&taps);
    for (ptrdiff_t tap = 0; tap < total; tap++) {
        begin_tap(pen, TALLEST, 1);
        *pen->read++ = (struct read){tap / taps.wide, offsets[tap % taps.wide]};
        for (ptrdiff_t filter = 0; filter < TALLEST; filter++)
            *pen->value++ = taps.values[filter * total + tap];
    }
}

/* Write a recipe. `pace` are the bytes from one tap of a row to the next where it is the same for all, else 0; `vector` are
 * those of a vector. */
static void write_recipe(struct recipe *recipe, struct taps taps, const ptrdiff_t *offsets, ptrdiff_t pace,
                         enum shape shape, ptrdiff_t vector)
{
    ptrdiff_t total = count_taps(&taps), tall = SHAPE[shape].rows, most = BURST, turn = 0;
    while (most * most < total)
        most++;
    struct pen pen = {recipe->runs, recipe->reads, recipe->taps, 0, parts(total, parts(total, most)), 0};
    recipe->runs->taps = 0;
    recipe->gap = 1;
    for (ptrdiff_t gap = MOST_APART; gap && pace && shape == ROWS && taps.high == 1; gap--)
        if (gap * vector % pace == 0 && taps.wide >= (ABREAST - 1) * gap * vector / pace)
            recipe->gap = gap, turn = gap * vector / pace;
    if (shape == FILTERS)
        write_filters(&pen, taps, offsets);
    for (ptrdiff_t plane = 0; shape != FILTERS && plane < taps.planes; plane++, taps.values += taps.high * taps.wide)
        if (turn)
            write_sideways(&pen, taps, plane * TALLEST, pace, turn, plane * taps.wide);
        else
            write_rows(&pen, taps, plane * (taps.high + tall - 1), offsets, tall);
    recipe->count = pen.read - recipe->reads;
    recipe->several = pen.several;
}
