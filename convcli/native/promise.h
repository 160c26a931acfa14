/* The promise at each output of a pair of tiles: see convcli/methods/promise.py, which tells why.
 *
 * Marks of 8 x 8 values are the bits of a number, a cell: bit i of byte j is that of row i, column j. All that is decided
 * here follows from the pixels of the pair.
 */

enum { CELL = 8 };

/* How many pixels of a window may be small, and the sum of the sizes of the taps without as many of the largest. */
struct level {
    double left;
    ptrdiff_t few;
};
enum { RUNGS = 5 };

/* What results are judged by: for the limit that they are to reach, factors of the root of the energy, the first if that of
 * the results is not known, the others for the way there and for that of the results on the way back; of the root of the
 * energy again, for what a single frequency leaves; of the largest pixel; of the root of the largest energy under the
 * kernel; and of the largest result, which with the fourth may stand for that; limits below which something may be lost;
 * the sum of the taps; the share of what means of squares make of a result that it is to reach besides, 0 if squares keep
 * theirs; levels of every second row, whichever of them is the first, and of all; the least and the largest size of the
 * taps; the pixels that an output reads; and tables of the taps. */
struct watch {
    double random, forward, backward, alone, sum, norm, most_result, tiny, part, total, share;
    struct level second, every;
    double least, most;
    ptrdiff_t high, wide;
    const float *taps, *smallest, *mirrored, *squares[2];
};

/* Limits above which sums inside of a float32 transform may have overflowed; u of float64 by that of float32. */
static const double HUGE_LIMIT = 1e25, FINER = 0x1p-29;
/* Products that float64 takes the time of, for a value of a tile; the sides of kernels whose sums in float32 are exact
 * enough, whatever they sum. */
static const double DEAR = 200;
/* Products from which on what a float32 loses of smaller ones is nothing. */
static const double LOST = 1e-35;
/* Below this a float32 is 0. */
static const float NO_PIXEL = 1e-45f;
enum { LONG = 256 };
/* What is dark reaches a guessed limit if multiplied by so much: at once, first where no means may be taken; without the means
 * of squares of 16 and of 8 pixels, times how smooth kernel and pixels are; and where one in MANY segments does not, float64
 * is taken. Squares of 16 pixels are given up where one in FEW needs those of 8. Time alone goes by it. */
static const double SOON[] = {0.67, 1}, SMOOTH[] = {0.14, 0.33}, DEEP = 1;
enum { FEW = 50, MANY = 8 };
/* What the square of a product may lose as a denormal number. */
static const double LOST_SQUARE = 3e-45;

typedef int32_t bits __attribute__((vector_size(CELL * sizeof(int32_t))));
typedef int32_t bits_loose __attribute__((vector_size(CELL * sizeof(int32_t)), aligned(sizeof(int32_t))));
typedef uint8_t bytes __attribute__((vector_size(CELL)));

INLINE ptrdiff_t cells_of(ptrdiff_t values) { return (values + CELL - 1) / CELL; }

INLINE ptrdiff_t squares_of(ptrdiff_t values, ptrdiff_t side) { return (values + side - 1) / side; }

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

/* All those of a plane row by row: columns of cells may fall into one set of the cache. */
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

/* Cells from `top` and `left` on, without `bottom` and `right`. */
struct area {
    ptrdiff_t top, bottom, left, right;
};

static struct area all_of(const struct plane *plane)
{
    return (struct area){0, cells_of(plane->rows), 0, cells_of(plane->columns)};
}

/* How many values of an area do not reach a limit, or are 0, in all its cells above and left of each, in every row or in every
 * `step`th; and whether some that are not 0 do not reach it. */
INLINE void count_cells(const struct plane *plane, float limit, int zeros, int step, const struct area *area, int32_t *sums,
                        int *others)
{
    ptrdiff_t columns = cells_of(plane->columns), count = area->right - area->left;
    bits other = {0};
    sums += area->top * (columns + 1) + area->left;
    memset(sums, 0, (size_t)(count + 1) * sizeof *sums);
    for (ptrdiff_t y = area->top * CELL; y < area->bottom * CELL; y += CELL, sums += columns + 1) {
        int32_t *here = sums + columns + 1, run = 0;
        ptrdiff_t rows = least_of(plane->rows - y, CELL);
        here[0] = 0;
        for (ptrdiff_t n = 0; n < count; n++) {
            ptrdiff_t x = (area->left + n) * CELL;
            bits small = {0};
            for (ptrdiff_t i = 0; i < rows; i += step) {
                bits size = sizes_at(plane, y + i, x), below = (float_vector)size < limit;
                small -= zeros ? size == 0 : below;
                if (zeros)
                    other |= below & (size != 0);
            }
            uint64_t each = packed(small);
            if (plane->columns - x < CELL)
                each &= ((uint64_t)1 << CELL * (plane->columns - x)) - 1;
            run += (int32_t)(each * 0x0101010101010101 >> (64 - CELL));
            here[n + 1] = sums[n + 1] + run;
        }
    }
    if (zeros)
        *others = float_any_of(other);
}
INLINE void count_small_body(const struct plane *plane, float limit, int step, const struct area *area, int32_t *sums)
{
    count_cells(plane, limit, 0, step, area, sums, NULL);
}
INLINE void count_zeros_body(const struct plane *plane, float limit, const struct area *area, int32_t *sums, int *others)
{
    count_cells(plane, limit, 1, 1, area, sums, others);
}
VERSIONS(count_small, (const struct plane *plane, float limit, int step, const struct area *area, int32_t *sums),
         (plane, limit, step, area, sums))
VERSIONS(count_zeros, (const struct plane *plane, float limit, const struct area *area, int32_t *sums, int *others),
         (plane, limit, area, sums, others))

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
    bits least[4], most[4];
    for (int n = 0; n < 4; n++) {
        most[n] = (bits){0};
        for (int i = 0; i < CELL; i++)
            memcpy((char *)&least[n] + i * (int)sizeof *range, range, sizeof *range);
    }
    for (ptrdiff_t y = 0; y < plane->rows; y++)
        for (ptrdiff_t x = 0; x < plane->columns; x += 4 * CELL)
            for (int n = 0; n < 4 && x + n * CELL < plane->columns; n++) {
                bits size = sizes_at(plane, y, x + n * CELL);
                size &= ~((float_vector)size >= below);
                least[n] = float_smaller(least[n], size | ((size == 0) & NO_SIGN));
                most[n] = float_larger(most[n], size);
            }
    for (int n = 1; n < 4; n++)
        least[0] = float_smaller(least[0], least[n]), most[0] = float_larger(most[0], most[n]);
    range[0] = extreme(least[0], 0), range[1] = fmaxf(range[1], extreme(most[0], 1));
    range[1] = extreme(most[0], 1) <= range[1] ? range[1] : NAN;
}
VERSIONS(find_range, (const struct plane *plane, float below, float range[2]), (plane, below, range))

/* The same of all in two planes. */
static void find_ranges(const struct plane planes[2], float range[2])
{
    range[0] = INFINITY, range[1] = 0;
    for (int i = 0; i < 2; i++)
        find_range(&planes[i], NAN, range);
}

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

/* The pixels that are smaller than this are too small to count on. */
static float share_of(double limit, const struct level *level)
{
    return level->left > 0 ? (float)(limit / level->left) : INFINITY;
}

/* How many are counted in all cells that windows of a cell of results touch. */
INLINE int32_t counted(const struct plane *pixels, const struct watch *watch, const int32_t *sums, ptrdiff_t y, ptrdiff_t x)
{
    ptrdiff_t rows = cells_of(pixels->rows), columns = cells_of(pixels->columns);
    ptrdiff_t bottom = least_of(y + cells_of(watch->high - 1) + 1, rows) * (columns + 1);
    ptrdiff_t right = least_of(x + cells_of(watch->wide - 1) + 1, columns), top = y * (columns + 1);
    return sums[bottom + right] - sums[bottom + x] - sums[top + right] + sums[top + x];
}

/* How many pixels these cells hold. */
INLINE ptrdiff_t window_of(const struct plane *pixels, const struct watch *watch, ptrdiff_t y, ptrdiff_t x)
{
    return least_of((cells_of(watch->high - 1) + 1) * CELL, pixels->rows - y * CELL) *
           least_of((cells_of(watch->wide - 1) + 1) * CELL, pixels->columns - x * CELL);
}

/* Of the results that are marked, leave those below a limit whose windows hold more than a few small pixels: whether there
 * are any. */
INLINE void doubt_body(const struct plane *pixels, const struct plane *results, float limit, const struct watch *watch,
                       const int32_t *sums, uint64_t *marks, int *any)
{
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++, marks++) {
            if (*marks)
                *marks &= counted(pixels, watch, sums, y, x) <= watch->every.few
                              ? 0
                              : small_in(results, y * CELL, x * CELL, limit);
            *any |= *marks != 0;
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

/* Marks of all results in a cell. */
INLINE uint64_t marks_of(const struct plane *results, ptrdiff_t y, ptrdiff_t x)
{
    uint64_t column = 0x0101010101010101 & ~(uint64_t)0 >> 8 * (CELL - least_of(results->columns - x, CELL));
    return column * (((uint64_t)1 << least_of(results->rows - y, CELL)) - 1);
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

#include "coarse.h"

/* Where a pair keeps what is seen of it. */
struct notes {
    uint64_t *cells;
    int32_t *sums, *zeros[2];
    float *columns;
    struct float_seen seen;
};

static struct notes notes_of(const struct float_tile *tile)
{
    ptrdiff_t cells = tile->rows * tile->columns / (CELL * CELL);
    uint64_t *next = tile->scratch;
    float *energy = (float *)(next + 4 * cells), *means = (float *)(next + 7 * cells), *least = (float *)next;
    return (struct notes){next,
                          (int32_t *)(next + cells),
                          {(int32_t *)(next + 8 * cells), (int32_t *)(next + 10 * cells)},
                          (float *)(next + 3 * cells),
                          {.energy = energy,
                           .small = {(uint8_t *)(next + 5 * cells), (uint8_t *)(next + 6 * cells)},
                           .means = {means, means + cells},
                           .least = {least, least + cells}}};
}

/* What is seen of every 16th row beforehand: the means of both planes, whether a segment as long as a kernel is wide promises
 * results below a limit that is guessed, whether many of these promise so little that float64 will be asked for, and the side of
 * squares that had best lose their means, 0 if they may not. It decides about time alone: any answer is right. */
struct sight {
    float taken[2];
    int dark, deep, coarse;
};

/* What is gathered on the way: what segments promise; the sums of squares about the mean of either plane and about those of the
 * segments, and the largest of the first that a segment may hold. */
struct gathered {
    float *reach;
    double energy, brightest, rough;
    ptrdiff_t count, wide, empty;
    bits signs;
};

INLINE float look_at(const struct plane *pixels, ptrdiff_t rows, struct gathered *all, int high)
{
    ptrdiff_t wide = all->wide, first = all->count, across = pixels->columns / wide, n = first;
    double total = 0, squared = 0, varied = 0, least = INFINITY, most = -INFINITY;
    for (ptrdiff_t y = CELL / 2; y < least_of(pixels->rows, rows); y += 2 * CELL)
        for (ptrdiff_t x = 0; x + wide <= pixels->columns; x += wide, n++) {
            float_vector sums = {0}, sizes = {0}, squares = {0};
            bits zeros = {0};
            int empty = 0;
            for (ptrdiff_t j = 0; j < wide; j += CELL) {
                float_vector here = *(const float_loose *)((const float *)(pixels->data + y * pixels->step) + x + j);
                sums += here, all->signs |= (bits)here, zeros -= here == 0;
                sizes += (float_vector)((bits)here & NO_SIGN), squares += here * here;
            }
            double sum = (double)float_sum_of(sums), square = (double)float_sum_of(squares), mean = sum / (double)wide;
            for (int j = 0; j < CELL; j++)
                empty += zeros[j];
            all->reach[n] = 2 * empty > wide ? INFINITY : float_sum_of(sizes) / (float)wide;
            all->empty += 2 * empty > wide;
            double rest = square - sum * mean;
            total += sum, squared += square, varied = fmax(varied, rest), all->rough += fmax(rest, 0);
            least = fmin(least, mean), most = fmax(most, mean);
        }
    all->count = n;
    if (n == first)
        return 0;
    double values = (double)((n - first) * wide), mean = total / values;
    all->energy += fmax(squared - total * mean, 0);
    all->brightest = fmax(all->brightest, varied + (double)wide * pow(fmax(most - mean, mean - least), 2));
    for (n--; high && n >= first + across; n--)
        all->reach[n] = (all->reach[n] + all->reach[n - across]) / 2;
    return (float)mean;
}

INLINE void look_body(const struct plane pixels[2], const struct float_tile *tile, const struct watch *watch,
                      struct sight *sight)
{
    struct gathered all = {.reach = (float *)tile->scratch, .wide = cells_of(watch->wide) * CELL};
    for (int i = 0; i < 2; i++)
        sight->taken[i] = look_at(&pixels[i], tile->rows, &all, watch->high >= 2 * CELL);
    double seen = (double)(all.count > 0 ? all.count * all.wide : 1), taps = (double)watch->smallest[watch->high * watch->wide];
    double limit = watch->random * sqrt(all.energy / seen * (double)(2 * tile->rows * tile->columns));
    double level = (limit + watch->norm * sqrt(all.brightest * (double)watch->high)) / taps;
    ptrdiff_t dark = all.empty, sixteen = 0, eight = 0;
    sight->coarse = watch->share > 0 && !float_any_of(all.signs < 0);
    double smooth = sight->coarse ? watch->sum / watch->norm * sqrt(all.energy / all.rough) : 0, soon = SOON[sight->coarse];
    double by[] = {SMOOTH[0] * smooth, sight->coarse ? SMOOTH[1] * smooth : DEEP};
    for (ptrdiff_t n = 0; n < all.count; n++) {
        dark += (double)all.reach[n] * soon < level;
        sixteen += (double)all.reach[n] * by[0] < level, eight += (double)all.reach[n] * by[1] < level;
    }
    sight->dark = isfinite(level) && level > 0 && dark;
    sight->deep = MANY * eight > all.count;
    sight->coarse *= FEW * (sixteen - eight) > all.count ? SQUARE : 2 * SQUARE;
}
VERSIONS(look,
         (const struct plane pixels[2], const struct float_tile *tile, const struct watch *watch, struct sight *sight),
         (pixels, tile, watch, sight))

/* The sum of a pair's energy, and the largest in cells that any window touches, also where it wraps around. */
INLINE void sum_energy_body(const struct float_tile *tile, const struct notes *notes, const struct watch *watch, double energy[2])
{
    ptrdiff_t rows = tile->rows / CELL, columns = tile->columns / CELL;
    ptrdiff_t high = least_of(cells_of(watch->high - 1) + 1, rows), wide = least_of(cells_of(watch->wide - 1) + 1, columns);
    float *sums = notes->columns, most = 0;
    energy[0] = 0;
    for (ptrdiff_t y = 0; y < rows; y++) {
        memset(sums, 0, (size_t)columns * sizeof *sums);
        for (ptrdiff_t i = 0; i < high; i++) {
            const float *from = notes->seen.energy + (y + i < rows ? y + i : y + i - rows) * columns;
            for (ptrdiff_t x = 0; x < columns; x++)
                sums[x] += from[x];
        }
        for (ptrdiff_t x = 0; x < columns; x++) {
            float sum = 0;
            for (ptrdiff_t j = 0; j < wide; j++)
                sum += sums[x + j < columns ? x + j : x + j - columns];
            most = most > sum ? most : sum;
            energy[0] += (double)notes->seen.energy[y * columns + x];
        }
    }
    energy[1] = (double)most;
}
VERSIONS(sum_energy,
         (const struct float_tile *tile, const struct notes *notes, const struct watch *watch, double energy[2]),
         (tile, notes, watch, energy))

/* Leave the marks at cells whose windows hold more than a few small pixels: how many. */
INLINE void leave_body(const struct plane *pixels, const struct plane *results, const struct watch *watch, ptrdiff_t few,
                       const int32_t *sums, uint8_t *small, ptrdiff_t *left)
{
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++, small++)
            if (*small) {
                *small = counted(pixels, watch, sums, y, x) > few ? *small : 0;
                *left += *small != 0;
            }
}
VERSIONS(leave,
         (const struct plane *pixels, const struct plane *results, const struct watch *watch, ptrdiff_t few,
          const int32_t *sums, uint8_t *small, ptrdiff_t *left),
         (pixels, results, watch, few, sums, small, left))

/* The same in both tiles, by every row of pixels or every `step`th. */
static ptrdiff_t doubtful(const struct notes *notes, double limit, const struct level *level, int step,
                          const struct plane read[2], const struct plane results[2], const struct watch *watch)
{
    ptrdiff_t left = 0;
    for (int i = 0; i < 2; i++) {
        uint8_t *small = notes->seen.small[i];
        if (results[i].rows) {
            struct area all = all_of(&read[i]);
            count_small(&read[i], share_of(limit, level), step, &all, notes->sums);
            leave(&read[i], &results[i], watch, level->few, notes->sums, small, &left);
        }
    }
    return left;
}

/* Eight times eight results by the definition in float32, with sums of a row of taps apart: no sum is longer than a side. */
INLINE void sum_rows_body(const char *const from[CELL], float *const to[CELL], ptrdiff_t step, const struct watch *watch)
{
    float_vector total[CELL] = {{0}};
    for (ptrdiff_t i = 0; i < watch->high; i++) {
        const float *taps = watch->taps + i * watch->wide, *row[CELL];
        float_vector sum[CELL] = {{0}};
        ptrdiff_t first = 0, last = watch->wide;
        for (int n = 0; n < CELL; n++)
            row[n] = (const float *)(from[n] + i * step);
        while (first < last && !taps[first])
            first++;
        while (first < last && !taps[last - 1])
            last--;
        for (ptrdiff_t j = first; j < last; j++)
            for (int n = 0; n < CELL; n++)
                sum[n] += *(const float_loose *)(row[n] + j) * taps[j];
        for (int n = 0; n < CELL; n++)
            total[n] += sum[n];
    }
    for (int n = 0; n < CELL; n++)
        *(float_loose *)to[n] = total[n];
}
VERSIONS(sum_rows, (const char *const from[CELL], float *const to[CELL], ptrdiff_t step, const struct watch *watch),
         (from, to, step, watch))

/* Eight times eight results of a cell by the definition, from pixels that are not 0 alone, those of each cell in a sum; `zeros`
 * are marks of those that are 0. */
INLINE void sum_sparse_body(const struct plane *pixels, const uint64_t *zeros, ptrdiff_t y, ptrdiff_t x,
                            const struct watch *watch, float_vector total[CELL])
{
    ptrdiff_t high = least_of(pixels->rows - y, watch->high + CELL - 1), step = watch->wide + 2 * CELL - 2;
    ptrdiff_t wide = least_of(pixels->columns - x, watch->wide + CELL - 1), columns = cells_of(pixels->columns);
    for (int i = 0; i < CELL; i++)
        total[i] = (float_vector){0};
    for (ptrdiff_t a = 0; a < high; a += CELL)
        for (ptrdiff_t b = 0; b < wide; b += CELL) {
            struct plane part = {NULL, high - a, wide - b, 0};
            uint64_t found = ~zeros[(y + a) / CELL * columns + (x + b) / CELL] & marks_of(&part, 0, 0);
            float_vector sum[CELL] = {{0}};
            if (!found)
                continue;
            for (; found; found &= found - 1) {
                int bit = __builtin_ctzll(found);
                ptrdiff_t row = a + bit % CELL, column = b + bit / CELL;
                float pixel = ((const float *)(pixels->data + (y + row) * pixels->step))[x + column];
                const float *taps = watch->mirrored + row * step + watch->wide + CELL - 2 - column;
                for (int i = 0; i < CELL; i++)
                    sum[i] += pixel * *(const float_loose *)(taps + (CELL - 1 - i) * step);
            }
            for (int i = 0; i < CELL; i++)
                total[i] += sum[i];
        }
}
VERSIONS(sum_sparse,
         (const struct plane *pixels, const uint64_t *zeros, ptrdiff_t y, ptrdiff_t x, const struct watch *watch,
          float_vector total[CELL]),
         (pixels, zeros, y, x, watch, total))

/* Marked rows of a cell by the definition, from pixels that are not 0 alone. */
static void fill_sparse(const struct plane *read, const uint64_t *zeros, const struct plane *results, ptrdiff_t y,
                        ptrdiff_t x, int rows, const struct watch *watch)
{
    float_vector total[CELL];
    sum_sparse(read, zeros, y, x, watch, total);
    for (; rows; rows &= rows - 1) {
        int i = __builtin_ctz((unsigned)rows);
        if (y + i < results->rows)
            memcpy((float *)(results->data + (y + i) * results->step) + x, &total[i],
                   (size_t)least_of(results->columns - x, CELL) * sizeof(float));
    }
}

/* Whether windows of marked cells hold pixels that are large enough for products not to be lost. */
static int all_told(const struct notes *notes, const struct plane *read, const struct plane *results, const uint8_t *small,
                    const struct watch *watch)
{
    ptrdiff_t columns = cells_of(results->columns);
    struct area all = all_of(read);
    count_small(read, (float)(LOST / watch->least), 1, &all, notes->sums);
    for (ptrdiff_t n = 0; n < cells_of(results->rows) * columns; n++)
        if (small[n] &&
            counted(read, watch, notes->sums, n / columns, n % columns) == window_of(read, watch, n / columns, n % columns))
            return 0;
    return 1;
}

/* Leave the marks of rows of a cell with results that may not reach a limit. */
static void thin(const struct plane *results, ptrdiff_t y, ptrdiff_t x, const struct coarse *coarse, float share, float limit,
                 uint8_t *rows)
{
    uint64_t found;
    if (coarse) {
        rows_below(results, y, x, coarse, share, limit, rows);
        return;
    }
    found = small_in(results, y, x, limit);
    found |= found >> 32, found |= found >> 16;
    *rows = (uint8_t)(found | found >> 8);
}

/* All cells of pixels under windows of marked cells; of those alone of which something is `asked`, if that is told. */
static struct area area_of(const struct plane *read, const struct plane *results, const uint8_t *small, const float *asked,
                           const struct watch *watch)
{
    ptrdiff_t columns = cells_of(results->columns), n = 0;
    struct area area = {PTRDIFF_MAX, 0, PTRDIFF_MAX, 0};
    for (ptrdiff_t y = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < columns; x++, n++)
            if (small[n] && !(asked && asked[n] < 0)) {
                area.top = least_of(area.top, y), area.left = least_of(area.left, x);
                area.bottom = y, area.right = x > area.right ? x : area.right;
            }
    if (area.top == PTRDIFF_MAX)
        return (struct area){0};
    area.bottom = least_of(area.bottom + cells_of(watch->high - 1) + 1, cells_of(read->rows));
    area.right = least_of(area.right + cells_of(watch->wide - 1) + 1, cells_of(read->columns));
    return area;
}

/* How many pixels under the windows of a cell are not 0. */
static ptrdiff_t lit(const struct plane *read, const struct watch *watch, const int32_t *zeros, ptrdiff_t y, ptrdiff_t x)
{
    return window_of(read, watch, y, x) - counted(read, watch, zeros, y, x);
}

/* What a cell takes by its pixels that are not 0, and by its marked rows, in products. */
static double sparse_cost(const struct watch *watch, ptrdiff_t pixels)
{
    return (double)((pixels + watch->high) * CELL * CELL);
}

static double dense_cost(const struct watch *watch, int rows)
{
    return (double)(__builtin_popcount((unsigned)rows) * CELL * watch->high * watch->wide);
}

/* Compute marked rows of cells by the definition, in float32 where there is room for eight results. */
static void repair(const struct notes *notes, const struct plane *read, const struct plane *results, const uint8_t *small,
                   const int32_t *zeros, const struct watch *watch)
{
    const char *from[CELL] = {0};
    float *to[CELL] = {0};
    ptrdiff_t count = 0, mapped = 0, columns = cells_of(results->columns);
    for (ptrdiff_t cell = 0; cell < cells_of(results->rows) * columns; cell++) {
        ptrdiff_t top = cell / columns * CELL, left = cell % columns * CELL;
        ptrdiff_t pixels = small[cell] ? lit(read, watch, zeros, cell / columns, cell % columns) : 0;
        if (small[cell] && sparse_cost(watch, pixels) < dense_cost(watch, small[cell])) {
            if (!mapped++)
                mark_small(read, NO_PIXEL, notes->cells);
            fill_sparse(read, notes->cells, results, top, left, small[cell], watch);
            continue;
        }
        for (int rows = small[cell]; rows; rows &= rows - 1) {
            ptrdiff_t y = top + __builtin_ctz((unsigned)rows), x = least_of(left, results->columns - CELL);
            if (results->columns < CELL) {
                define_cell(read, results, top, left, marks_of(results, top, left), watch);
                break;
            }
            if (y >= results->rows)
                break;
            from[count] = read->data + y * read->step + x * (ptrdiff_t)sizeof(float);
            to[count++] = (float *)(results->data + y * results->step) + x;
            if (count == CELL)
                sum_rows(from, to, read->step, watch), count = 0;
        }
    }
    for (ptrdiff_t n = count; n && n < CELL; n++)
        from[n] = from[0], to[n] = to[0];
    if (count)
        sum_rows(from, to, read->step, watch);
}

/* Take the marks from cells whose windows surely make (|k| * |x|) reach a limit: pixels that reach a size may meet the smallest
 * taps, those that reach twice as much the smallest of these. What is `asked` is -1 where that is not to be told. */
static void certify(const struct notes *notes, const struct plane *read, const struct plane *results, double limit,
                    const struct watch *watch, uint8_t *small, float *asked)
{
    ptrdiff_t columns = cells_of(results->columns), taps = watch->high * watch->wide;
    float size = (float)(limit / (double)watch->smallest[taps]) / 2, step = size, enough = (float)(limit * (1 + 1e-5));
    for (int rung = 0; rung < RUNGS; rung++, step = size, size *= 2) {
        struct area area = area_of(read, results, small, asked, watch);
        if (area.bottom == 0)
            return;
        count_small(read, size, 1, &area, notes->sums);
        for (ptrdiff_t y = 0, n = 0; y < cells_of(results->rows); y++)
            for (ptrdiff_t x = 0; x < columns; x++, n++)
                if (small[n] && asked[n] >= 0) {
                    ptrdiff_t few = counted(read, watch, notes->sums, y, x);
                    asked[n] = few < taps ? asked[n] + step * watch->smallest[taps - few] : -1;
                    small[n] = asked[n] > enough ? 0 : small[n];
                }
    }
}

/* What sees only zeros is 0: such cells lose their marks. Those whose windows hold few pixels that are not 0 are marked as a
 * whole: nothing is `asked` of them. */
static void clear(const struct plane *read, const struct plane *results, const int32_t *zeros, const struct watch *watch,
                  uint8_t *small, float *asked)
{
    for (ptrdiff_t y = 0, n = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++, n++)
            if (small[n]) {
                ptrdiff_t pixels = lit(read, watch, zeros, y, x), there = least_of(results->columns - x * CELL, CELL);
                int sparse = sparse_cost(watch, pixels) < dense_cost(watch, 1);
                asked[n] = sparse ? -1 : 0;
                small[n] = !pixels ? 0 : sparse ? ALL_ROWS : small[n];
                for (ptrdiff_t i = y * CELL; !pixels && i < least_of((y + 1) * CELL, results->rows); i++)
                    memset((float *)(results->data + i * results->step) + x * CELL, 0, (size_t)there * sizeof(float));
            }
}

/* What is left to do for the marked cells of one plane, in products, which keep the marks of rows that may not reach the limit.
 * INFINITY where products may be lost. */
static double weigh(const struct notes *notes, int i, const struct plane *read, const struct plane *results, double limit,
                    const struct coarse *coarse, const struct watch *watch)
{
    uint8_t *small = notes->seen.small[i];
    int32_t *zeros = notes->zeros[i];
    float *asked = notes->columns;
    double left = 0;
    int others;
    struct area area = area_of(read, results, small, NULL, watch);
    if (area.bottom == 0)
        return 0;
    count_zeros(read, (float)(LOST / watch->least), &area, zeros, &others);
    clear(read, results, zeros, watch, small, asked);
    if (!coarse)
        certify(notes, read, results, limit, watch, small, asked);
    if (others && !all_told(notes, read, results, small, watch))
        return INFINITY;
    for (ptrdiff_t y = 0, n = 0; y < cells_of(results->rows); y++)
        for (ptrdiff_t x = 0; x < cells_of(results->columns); x++, n++)
            if (small[n]) {
                double sparse = sparse_cost(watch, lit(read, watch, zeros, y, x));
                if (sparse >= dense_cost(watch, 1))
                    thin(results, y * CELL, x * CELL, coarse, (float)watch->share, (float)limit, &small[n]);
                left += fmin(dense_cost(watch, small[n]), sparse);
            }
    return left;
}

/* Settle marked cells whose results may not reach a limit, by the definition where that takes less than float64: whether that is
 * done. */
static int resolve(const struct float_tile *tile, const struct notes *notes, const struct plane read[2],
                   const struct plane results[2], const struct watch *watch, double limit, struct coarse *coarse)
{
    double left = 0, most = watch->high + watch->wide > LONG ? 0 : DEAR * (double)(tile->rows * tile->columns);
    for (int i = 0; i < 2 && left <= most; i++) {
        if (coarse)
            coarse->means = notes->seen.means[i];
        left += weigh(notes, i, &read[i], &results[i], limit, coarse, watch);
    }
    for (int i = 0; left > 0 && left <= most && i < 2; i++)
        repair(notes, &read[i], &results[i], notes->seen.small[i], notes->zeros[i], watch);
    return left <= most;
}

/* Mark the cells with results whose sizes may not reach a limit: how many. */
static ptrdiff_t mark(const struct plane results[2], const struct float_seen *seen, double limit)
{
    ptrdiff_t marked = 0;
    for (int i = 0; i < 2; i++)
        for (ptrdiff_t n = 0; n < cells_of(results[i].rows) * cells_of(results[i].columns); n++) {
            seen->small[i][n] = seen->least[i][n] >= (float)limit ? 0 : ALL_ROWS;
            marked += seen->small[i][n] != 0;
        }
    return marked;
}

/* Transform a pair there and back, with what is seen of it on the way, `coarse` without the means of squares: the energies that
 * limits are made of, and the largest results. Whether these means may be gone by. */
static int follow(const struct float_tile *tile, const struct notes *notes, const struct plane pixels[2],
                  const struct plane results[2], const struct watch *watch, struct coarse *coarse, double energy[3],
                  float_bits *most)
{
    const struct float_seen *seen = &notes->seen;
    if (coarse)
        watch_squares(tile, pixels, seen);
    else
        watch_pixels(tile, pixels, seen);
    for (ptrdiff_t n = 0; coarse && n < coarse->rows * coarse->columns; n++)
        if (!(seen->means[0][n] >= 0 && seen->means[1][n] >= 0))
            return 0;
    sum_energy(tile, notes, watch, energy);
    watch_products(tile, &energy[2]);
    if (coarse)
        store_squares(tile, results, coarse, (float)watch->share, seen, most);
    else
        store_pair(tile, results, seen, most);
    return 1;
}

/* What is seen of a pair before, and the squares that lose their means. */
static struct coarse prepare(const struct float_tile *tile, const struct plane pixels[2], const struct watch *watch,
                             struct sight *sight, struct float_seen *seen)
{
    look(pixels, tile, watch, sight);
    for (int i = 0; i < 2; i++) {
        seen->taken[i] = fabsf(sight->taken[i]) < (float)HUGE_LIMIT ? sight->taken[i] : 0;
        seen->given[i] = (float)((double)seen->taken[i] * watch->total);
    }
    ptrdiff_t side = seen->side = sight->coarse ? sight->coarse : SQUARE;
    return (struct coarse){NULL, watch->squares[side > SQUARE], squares_of(tile->rows, side), squares_of(tile->columns, side),
                           squares_of(watch->high - 1, side) + 1, squares_of(watch->wide - 1, side) + 1, side};
}

/* One pair of tiles: whether rounding has spoilt none of its results. */
static int watch_pair(const struct float_tile *tile, const struct plane pixels[2], const struct plane results[2],
                      const struct watch *watch)
{
    struct notes notes = notes_of(tile);
    struct sight sight;
    struct coarse squares = prepare(tile, pixels, watch, &sight, &notes.seen);
    struct coarse *coarse = sight.dark && sight.coarse ? &squares : NULL;
    struct plane read[2];
    float_bits most;
    float range[2];
    double energy[3], least = INFINITY, values = (double)(tile->rows * tile->columns);
    for (int i = 0; i < 2; i++) {
        read[i] = results[i].rows ? read_by(&pixels[i], &results[i], watch) : results[i];
        least = results[i].rows ? fmin(least, fabs((double)notes.seen.taken[i])) : least;
    }
    if ((sight.dark && sight.deep) || !follow(tile, &notes, pixels, results, watch, coarse, energy, &most))
        return 0;
    double root = sqrt(energy[0]), random = watch->backward * sqrt(values * (energy[2] + values * LOST_SQUARE));
    random += watch->forward * root;
    double limit = random + watch->norm * sqrt(energy[1]);
    if (!coarse && watch->every.left * (least - root) >= limit && least > 1e-18)
        return 1; /* all is about as large as the mean */
    if (!(limit >= watch->tiny && limit <= HUGE_LIMIT)) {
        find_ranges(read, range);
        return !(isfinite(range[1]) && range[1] > 0); /* the caller sees to NaN and infinities; what sees zeros is 0 */
    }
    if (!sight.dark && (!mark(results, &notes.seen, limit) || !doubtful(&notes, limit, &watch->second, 2, read, results, watch)))
        return 1;
    random += watch->alone * root; /* the largest results may promise less than the energy under the kernel */
    for (ptrdiff_t y = cells_of(results->rows) * CELL; y < tile->rows; y += CELL)
        watch_rest(tile, y, &most);
    limit = fmin(limit, random + watch->most_result * (double)extreme(most, 1));
    return limit >= watch->tiny && (!mark(results, &notes.seen, limit) ||
           (!coarse && !doubtful(&notes, limit, &watch->second, 2, read, results, watch)) ||
           resolve(tile, &notes, read, results, watch, limit, coarse));
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
    pair->limit = FINER * ((watch->forward + watch->random) * root + fmin(watch->sum * (double)range[1], watch->norm * root));
    int told = (double)range[0] * watch->least >= 2 * pair->limit; /* any product from none at all */
    for (int i = 0; i < 2; i++) {
        if (told)
            flush(&made[i], (float)(pair->limit * watch->part));
        if (told && made == pair->results)
            continue;
        ptrdiff_t columns = cells_of(pair->results[i].columns), cells = cells_of(pair->results[i].rows) * columns;
        uint64_t *before = pair->cells + pair->tile->rows * pair->tile->columns / (CELL * CELL);
        memcpy(before, pair->marks[i], (size_t)cells * sizeof *before);
        struct area all = all_of(&pair->read[i]);
        count_small(&pair->read[i], share_of(pair->limit, &watch->every), 1, &all, pair->sums);
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
