/* The promise at each output of a pair of tiles: see convcli/methods/promise.py, which tells why.
 *
 * Marks of 8 x 8 values are the bits of a number, a cell: bit i of byte j is that of row i, column j. All that is decided
 * here follows from the pixels of the pair.
 */

enum { CELL = 8 };

/* What results are judged by: for the limit that they are to reach, factors of the root of the energy, of the largest
 * pixel, and again of the root, whichever of these is smaller; limits below which something may be lost; the sum of the
 * sizes of the taps without the `few` largest; the least of them; and the pixels that an output reads. */
struct watch {
    double random, sum, norm, ghost, tiny, part, left, least, most;
    ptrdiff_t few, high, wide;
    const float *taps;
};

/* Limits above which sums inside of a float32 transform may have overflowed; u of float64 by that of float32. */
static const double HUGE_LIMIT = 1e25, FINER = 0x1p-29;
/* A stretch of a row as wide as the kernel is dark below this share of the largest pixel; a pair of which a quarter is
 * dark goes to float64 at once. It decides about time alone: float64 is right for any pair. */
static const float DARK = 0.004f;

typedef int32_t bits __attribute__((vector_size(CELL * sizeof(int32_t))));
typedef int32_t bits_loose __attribute__((vector_size(CELL * sizeof(int32_t)), aligned(sizeof(int32_t))));
typedef uint8_t bytes __attribute__((vector_size(CELL)));

INLINE ptrdiff_t cells_of(ptrdiff_t values) { return (values + CELL - 1) / CELL; }

INLINE ptrdiff_t least_of(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Eight values side by side without their signs, as bits; 0 beyond the last column. */
INLINE bits sizes_at(const struct plane *plane, ptrdiff_t y, ptrdiff_t x)
{
    const float *from = (const float *)(plane->data + y * plane->step) + x;
    bits found = {0};
    if (plane->columns - x >= CELL)
        found = *(const bits_loose *)from;
    else
        memcpy(&found, from, (size_t)(plane->columns - x) * sizeof *from);
    return found & NO_SIGN;
}

INLINE uint64_t packed(bits marks)
{
    bytes narrow = __builtin_convertvector(marks, bytes);
    uint64_t cell;
    memcpy(&cell, &narrow, sizeof cell);
    return cell;
}

/* Which values of a cell do not reach a limit; with NAN, none does. */
INLINE uint64_t small_in(const struct plane *plane, ptrdiff_t y, ptrdiff_t x, float limit)
{
    ptrdiff_t rows = least_of(plane->rows - y, CELL), columns = least_of(plane->columns - x, CELL);
    bits small = {0};
    for (int i = 0; i < rows; i++)
        small |= ~((float_vector)sizes_at(plane, y + i, x) >= limit) & 1 << i;
    return columns == CELL ? packed(small) : packed(small) & (((uint64_t)1 << CELL * columns) - 1);
}

/* All those of a plane, row by row: columns of cells may fall into one set of the cache. */
INLINE void mark_small_body(const struct plane *plane, float limit, uint64_t *cells)
{
    bits small[LONGEST / CELL];
    ptrdiff_t columns = cells_of(plane->columns), rest = plane->columns % CELL;
    for (ptrdiff_t y = 0; y < plane->rows; y += CELL, cells += columns) {
        memset(small, 0, (size_t)columns * sizeof *small);
        for (ptrdiff_t i = 0; i < CELL && y + i < plane->rows; i++)
            for (ptrdiff_t x = 0; x < columns; x++)
                small[x] |= ((float_vector)sizes_at(plane, y + i, x * CELL) < limit) & 1 << i;
        for (ptrdiff_t x = 0; x < columns; x++)
            cells[x] = packed(small[x]);
        if (rest)
            cells[columns - 1] &= ((uint64_t)1 << CELL * rest) - 1;
    }
}
VERSIONS(mark_small, (const struct plane *plane, float limit, uint64_t *cells), (plane, limit, cells))

/* Sums of the marks in all cells before each. */
INLINE void sum_cells_body(const uint64_t *cells, ptrdiff_t rows, ptrdiff_t columns, int32_t *sums)
{
    memset(sums, 0, (size_t)(columns + 1) * sizeof *sums);
    for (ptrdiff_t y = 0; y < rows; y++, sums += columns + 1) {
        int32_t *here = sums + columns + 1, run = 0;
        here[0] = 0;
        for (ptrdiff_t x = 0; x < columns; x++)
            here[x + 1] = sums[x + 1] + (run += __builtin_popcountll(*cells++));
    }
}
VERSIONS(sum_cells, (const uint64_t *cells, ptrdiff_t rows, ptrdiff_t columns, int32_t *sums),
         (cells, rows, columns, sums))

/* The largest or the smallest of some floats without signs. */
INLINE float extreme(bits of, int largest)
{
    int32_t value = of[0];
    float found;
    for (int i = 1; i < CELL; i++)
        value = largest == (of[i] > value) ? of[i] : value;
    memcpy(&found, &value, sizeof found);
    return found;
}

/* The smallest value that is not 0, and the largest, of those below a size (NAN: of all), without signs; they
 * may only grow apart. */
INLINE void find_range_body(const struct plane *plane, float below, float range[2])
{
    bits least = {0}, most = {0};
    for (int i = 0; i < CELL; i++)
        memcpy((char *)&least + i * (int)sizeof *range, range, sizeof *range);
    for (ptrdiff_t y = 0; y < plane->rows; y++)
        for (ptrdiff_t x = 0; x < plane->columns; x += CELL) {
            bits size = sizes_at(plane, y, x);
            size &= ~((float_vector)size >= below);
            least = float_smaller(least, size | ((size == 0) & NO_SIGN));
            most = float_larger(most, size);
        }
    range[0] = extreme(least, 0), range[1] = fmaxf(range[1], extreme(most, 1));
    range[1] = extreme(most, 1) <= range[1] ? range[1] : NAN;
}
VERSIONS(find_range, (const struct plane *plane, float below, float range[2]), (plane, below, range))

/* 0 for what is smaller than a limit. */
INLINE void flush_body(const struct plane *plane, float limit)
{
    for (ptrdiff_t y = 0; y < plane->rows; y++) {
        float *row = (float *)(plane->data + y * plane->step);
        for (ptrdiff_t x = 0; x < plane->columns; x++)
            row[x] = fabsf(row[x]) < limit ? 0 : row[x];
    }
}
VERSIONS(flush, (const struct plane *plane, float limit), (plane, limit))

/* Count the pixels that are below their share of a limit; `cells` are for use here. */
static void count_small(const struct plane *pixels, double limit, const struct watch *watch, uint64_t *cells, int32_t *sums)
{
    mark_small(pixels, watch->left > 0 ? (float)(limit / watch->left) : INFINITY, cells);
    sum_cells(cells, cells_of(pixels->rows), cells_of(pixels->columns), sums);
}

/* Whether no more than a few pixels are, in all cells that windows of a cell of results touch. */
INLINE int rich(const struct plane *pixels, const struct watch *watch, const int32_t *sums, ptrdiff_t y, ptrdiff_t x)
{
    ptrdiff_t rows = cells_of(pixels->rows), columns = cells_of(pixels->columns);
    ptrdiff_t bottom = least_of(y + cells_of(watch->high - 1) + 1, rows) * (columns + 1);
    ptrdiff_t right = least_of(x + cells_of(watch->wide - 1) + 1, columns), top = y * (columns + 1);
    return sums[bottom + right] - sums[bottom + x] - sums[top + right] + sums[top + x] <= watch->few;
}

/* Of the results, mark those below a limit whose windows are not rich: whether there are any. With `marks`, only of those
 * that were marked; else it is enough to know. */
INLINE void doubt_body(const struct plane *pixels, const struct plane *results, float limit, const struct watch *watch,
                       const int32_t *sums, uint64_t *marks, int *any)
{
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++) {
            uint64_t found = rich(pixels, watch, sums, y, x) ? 0 : small_in(results, y * CELL, x * CELL, limit);
            found = marks ? *marks &= found : found, marks += marks != NULL;
            *any |= found != 0;
            if (found && !marks)
                return;
        }
}
VERSIONS(doubt,
         (const struct plane *pixels, const struct plane *results, float limit, const struct watch *watch,
          const int32_t *sums, uint64_t *marks, int *any),
         (pixels, results, limit, watch, sums, marks, any))

/* A cell of marks `down` rows and `right` columns from the beginning of another; there are none outside. */
INLINE uint64_t shifted(const uint64_t *cells, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t y, ptrdiff_t x, ptrdiff_t down,
                        ptrdiff_t right)
{
    uint64_t low = 0x0101010101010101 * (0xffu >> down % CELL);
    const uint64_t *from = cells + (y + down / CELL) * columns + x + right / CELL;
    uint64_t here = y + down / CELL < rows && x + right / CELL < columns ? *from : 0, next = 0;
    if (down % CELL) {
        next = y + down / CELL + 1 < rows ? from[columns] : 0;
        return (here >> down % CELL & low) | (next << (CELL - down % CELL) & ~low);
    }
    if (right % CELL) {
        next = x + right / CELL + 1 < columns ? from[1] : 0;
        return here >> CELL * (right % CELL) | next << (8 * CELL - CELL * (right % CELL));
    }
    return here;
}

/* Leave the marks at whose window, from there on down and right, all is marked. */
static void erode(uint64_t *cells, ptrdiff_t rows, ptrdiff_t columns, const struct watch *watch)
{
    for (int across = 0; across < 2; across++)
        for (ptrdiff_t size = 1, more, whole = across ? watch->wide : watch->high; size < whole; size += more) {
            more = least_of(size, whole - size);
            for (ptrdiff_t y = 0; y < rows; y++)
                for (ptrdiff_t x = 0; x < columns; x++)
                    cells[y * columns + x] &= shifted(cells, rows, columns, y, x, across ? 0 : more, across ? more : 0);
        }
}

/* Results by the definition, up to eight side by side. */
INLINE void define_body(const struct plane *pixels, const struct watch *watch, ptrdiff_t y, ptrdiff_t x, ptrdiff_t count,
                        double sums[CELL])
{
    const float *taps = watch->taps;
    for (int i = 0; i < CELL; i++)
        sums[i] = 0;
    for (ptrdiff_t i = 0; i < watch->high; i++) {
        const float *row = (const float *)(pixels->data + (y + i) * pixels->step) + x;
        for (ptrdiff_t j = 0; j < watch->wide; j++, taps++)
            if (count == CELL)
                for (int n = 0; n < CELL; n++)
                    sums[n] += (double)row[j + n] * (double)*taps;
            else
                for (ptrdiff_t n = 0; n < count; n++)
                    sums[n] += (double)row[j + n] * (double)*taps;
    }
}
VERSIONS(define,
         (const struct plane *pixels, const struct watch *watch, ptrdiff_t y, ptrdiff_t x, ptrdiff_t count, double *sums),
         (pixels, watch, y, x, count, sums))

/* Marked results of a cell by the definition. */
static void define_cell(const struct plane *pixels, const struct plane *results, ptrdiff_t y, ptrdiff_t x, uint64_t marks,
                        const struct watch *watch)
{
    ptrdiff_t count = least_of(results->columns - x, CELL);
    for (ptrdiff_t i = 0; i < CELL; i++) {
        double sums[CELL];
        if (!(marks & (uint64_t)0x0101010101010101 << i))
            continue;
        define(pixels, watch, y + i, x, count, sums);
        for (ptrdiff_t j = 0; j < count; j++)
            if (marks >> (CELL * j + i) & 1)
                ((float *)(results->data + (y + i) * results->step))[x + j] = (float)sums[j];
    }
}

/* Marked results of a cell from another plane, or 0. */
static void take(const struct plane *from, const struct plane *to, ptrdiff_t y, ptrdiff_t x, uint64_t marks)
{
    for (; marks; marks &= marks - 1) {
        ptrdiff_t bit = __builtin_ctzll(marks), row = y + bit % CELL, column = x + bit / CELL;
        ((float *)(to->data + row * to->step))[column] = from ? ((float *)(from->data + row * from->step))[column] : 0;
    }
}

/* The part of the pixels that some results read. */
static struct plane read_by(const struct plane *pixels, const struct plane *results, const struct watch *watch)
{
    return (struct plane){pixels->data, results->rows + watch->high - 1, results->columns + watch->wide - 1, pixels->step};
}

/* What results are to reach, given the root of the energy, and the largest pixel and result. */
static double limit_of(double root, float pixel, float result, const struct watch *watch)
{
    double ghosts = fmin(fmin(watch->sum * (double)pixel, watch->norm * root), watch->ghost * (double)result);
    return watch->random * root + ghosts;
}

/* Whether all results of a pair reach a limit, or have rich windows. */
static int reached(const struct float_tile *tile, double limit, const struct plane pixels[2],
                   const struct plane results[2], const struct watch *watch)
{
    int32_t *sums = (int32_t *)(tile->scratch + tile->rows * tile->columns / (CELL * CELL));
    int any = 0;
    for (int i = 0; i < 2 && !any && results[i].rows; i++) {
        struct plane read = read_by(&pixels[i], &results[i], watch);
        count_small(&read, limit, watch, tile->scratch, sums);
        doubt(&read, &results[i], (float)limit, watch, sums, NULL, &any);
    }
    return !any;
}

/* Whether a quarter of some segments as long as a kernel is wide are so dark that float64 will be asked for: a guess, by
 * every 32nd row. */
INLINE void guess_body(const struct plane pixels[2], const struct float_tile *tile, const struct watch *watch, int *dark)
{
    float *largest = (float *)tile->scratch, most = 0;
    ptrdiff_t count = 0, few = 0, wide = cells_of(watch->wide) * CELL;
    for (int i = 0; i < 2; i++)
        for (ptrdiff_t y = CELL; y < least_of(pixels[i].rows, tile->rows); y += 4 * CELL)
            for (ptrdiff_t x = 0; x + wide <= pixels[i].columns; x += wide) {
                bits found = {0};
                for (ptrdiff_t j = 0; j < wide; j += CELL)
                    found = float_larger(found, sizes_at(&pixels[i], y, x + j));
                largest[count] = extreme(found, 1);
                most = most > largest[count] ? most : largest[count];
                count++;
            }
    for (ptrdiff_t n = 0; n < count; n++)
        few += largest[n] < most * DARK;
    *dark = most > 0 && isfinite(most) && 4 * few > count;
}
VERSIONS(guess, (const struct plane pixels[2], const struct float_tile *tile, const struct watch *watch, int *dark),
         (pixels, tile, watch, dark))

/* Whether rounding has spoilt none of the results of a pair. */
static int judge(const struct float_tile *tile, struct float_seen *seen, const struct plane pixels[2],
                 const struct plane results[2], const struct watch *watch)
{
    float largest = extreme(seen->largest, 1);
    double energy = 0;
    for (int i = 0; i < CELL; i++)
        energy += (double)seen->energy[i];
    double limit = limit_of(sqrt(energy), largest, INFINITY, watch);
    if (largest == 0 || !isfinite(largest))
        return 1; /* what becomes of NaN and infinities is seen to by the caller */
    if (!isfinite(energy) || limit < watch->tiny || limit > HUGE_LIMIT)
        return 0;
    if ((double)extreme(seen->smallest, 0) >= limit || reached(tile, limit, pixels, results, watch))
        return 1;
    watch_rest(tile, seen, results[1].rows);
    double sharp = limit_of(sqrt(energy), largest, extreme(seen->most, 1), watch);
    return sharp >= watch->tiny && sharp < limit && reached(tile, sharp, pixels, results, watch);
}

/* A pair in float64. */
struct fine {
    const struct double_tile *tile;
    const struct watch *watch;
    struct plane read[2], results[2], made[2];
    uint64_t *marks[2], *cells;
    int32_t *sums;
    float below, largest;
    double limit;
};

/* Take what a transform of the pixels below a size has settled of the marked results: whether marks are left. */
static int accept(struct fine *pair, const struct plane *made)
{
    const struct watch *watch = pair->watch;
    float range[2] = {INFINITY, 0};
    int any = 0;
    for (int i = 0; i < 2; i++)
        find_range(&pair->read[i], pair->below, range);
    if (!isfinite(range[1]))
        return 0; /* results are as they are: the caller sees to them */
    pair->largest = range[1];
    double root = (double)range[1] * sqrt(2 * (double)pair->tile->rows * (double)pair->tile->columns);
    pair->limit = FINER * limit_of(root, range[1], INFINITY, watch);
    int told = (double)range[0] * watch->least >= 2 * pair->limit; /* any product from none at all */
    for (int i = 0; i < 2; i++) {
        if (told)
            flush(&made[i], (float)(pair->limit * watch->part));
        if (told && made == pair->results)
            continue;
        ptrdiff_t columns = cells_of(pair->results[i].columns), cells = cells_of(pair->results[i].rows) * columns;
        uint64_t *before = pair->cells + pair->tile->rows * pair->tile->columns / (CELL * CELL);
        memcpy(before, pair->marks[i], (size_t)cells * sizeof *before);
        count_small(&pair->read[i], pair->limit, watch, pair->cells, pair->sums);
        if (told)
            memset(pair->marks[i], 0, (size_t)cells * sizeof *before);
        else
            doubt(&pair->read[i], &made[i], pair->limit <= FLT_MAX ? (float)pair->limit : NAN, watch, pair->sums,
                  pair->marks[i], &any);
        for (ptrdiff_t n = 0; made != pair->results && n < cells; n++)
            take(&made[i], &pair->results[i], n / columns * CELL, n % columns * CELL, before[n] & ~pair->marks[i][n]);
    }
    return any;
}

/* The marks of results whose windows hold only pixels below a size, of one tile, or of all that they do not: how many. */
static ptrdiff_t dark(struct fine *pair, int i, float size)
{
    const struct plane *results = &pair->results[i];
    ptrdiff_t rows = cells_of(pair->read[i].rows), columns = cells_of(pair->read[i].columns), others = 0;
    ptrdiff_t across = cells_of(results->columns);
    mark_small(&pair->read[i], size, pair->cells);
    erode(pair->cells, rows, columns, pair->watch);
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < across; x++)
            others += __builtin_popcountll(pair->marks[i][y * across + x] & ~pair->cells[y * columns + x]);
    return others;
}

/* Settle marked results whose windows are dark as 0, or those whose windows are not by the definition. */
static void settle(struct fine *pair, float size, int zero)
{
    for (int i = 0; i < 2; i++) {
        const struct plane *results = &pair->results[i];
        ptrdiff_t columns = cells_of(pair->read[i].columns);
        uint64_t *marks = pair->marks[i];
        dark(pair, i, size);
        for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
            for (ptrdiff_t x = 0; x < cells_of(results->columns); x++, marks++) {
                uint64_t now = *marks & (zero ? pair->cells[y * columns + x] : ~pair->cells[y * columns + x]);
                if (zero)
                    take(NULL, results, y * CELL, x * CELL, now);
                else if (now)
                    define_cell(&pair->read[i], results, y * CELL, x * CELL, now, pair->watch);
                *marks &= ~now;
            }
    }
}

/* Whether marks are left. */
static int marked(const struct fine *pair)
{
    uint64_t any = 0;
    for (int i = 0; i < 2; i++)
        for (ptrdiff_t n = 0; n < cells_of(pair->results[i].rows) * cells_of(pair->results[i].columns); n++)
            any |= pair->marks[i][n];
    return any != 0;
}

/* A pair in float64; results that a bright pixel drowns again without the bright pixels, or by the definition. */
static void refine(const struct double_tile *tile, const struct plane pixels[2], const struct plane results[2],
                   const struct watch *watch)
{
    ptrdiff_t cells = tile->rows * tile->columns / (CELL * CELL), step = tile->columns * (ptrdiff_t)sizeof(float);
    struct fine pair = {.tile = tile, .watch = watch, .below = NAN, .marks = {tile->scratch, tile->scratch + cells}};
    pair.cells = tile->scratch + 2 * cells;
    pair.sums = (int32_t *)(tile->scratch + 4 * cells);
    char *made = (char *)(tile->scratch + 8 * cells);
    for (int i = 0; i < 2; i++, made += tile->rows * step) {
        pair.read[i] = results[i].rows ? read_by(&pixels[i], &results[i], watch) : results[i];
        pair.results[i] = results[i];
        pair.made[i] = (struct plane){made, results[i].rows, results[i].columns, step};
    }
    memset(tile->scratch, 0xff, (size_t)(2 * cells) * sizeof *tile->scratch);
    refine_tile(tile, pixels, results, pair.below);
    if (!accept(&pair, pair.results))
        return;
    settle(&pair, 1e-45f, 1);
    while (marked(&pair)) {
        float size = (float)(pair.limit / watch->most);
        while ((double)size < 2 * pair.limit / watch->least &&
               (double)(dark(&pair, 0, size) + dark(&pair, 1, size)) * (double)(watch->high * watch->wide) >
                   2.0 * (double)(tile->rows * tile->columns))
            size *= 64;
        settle(&pair, size < pair.largest / 2 ? size : 0, 0);
        pair.below = size;
        if (!marked(&pair))
            return;
        refine_tile(tile, pixels, pair.made, size);
        accept(&pair, pair.made);
    }
}
